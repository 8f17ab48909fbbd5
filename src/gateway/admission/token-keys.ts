/** Bytes of a key set, without any content-encoding; real ones have a few thousand. */
const MAX_BYTES = 1024 * 1024;
const MAX_KEYS = 100;

/**
 * `fetch` for a key set. Rejects, with a code for the log, when the answer is larger than any key set: whoever answers
 * in the issuer's place must not fill our memory. The request's signal ends it in time.
 */
export async function fetchKeySet(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  if (response.status !== 200) {
    await response.body?.cancel();
    return response;
  }
  const text = await readText(response);
  if (countKeys(text) > MAX_KEYS) throw tooLarge(`more than ${MAX_KEYS} keys`);
  return new Response(text);
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let text = '';
  let size = 0;
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > MAX_BYTES) {
      // Nobody waits for the other side to agree.
      reader.cancel().catch(() => {});
      throw tooLarge(`more than ${MAX_BYTES} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
  return text + decoder.decode();
}

/** Keys of a set; what is none is left for who reads it. */
function countKeys(text: string): number {
  try {
    const { keys } = JSON.parse(text) as { keys: unknown };
    return Array.isArray(keys) ? keys.length : 0;
  } catch {
    return 0;
  }
}

function tooLarge(what: string): Error {
  return new Error(`the key set has ${what}`, { cause: { code: 'KEY_SET_TOO_LARGE' } });
}
