import { type Passage, type PassedReply, RELAY_MARK, type Relay } from '../ports/relay.ts';

export interface RelayOptions {
  /** Address of the gateway that stores: `https://host`, perhaps with a path in front of its own. */
  origin: string;
  /** Milliseconds until its reply must have come. */
  timeout: number;
  forwardsRefusedRequests: boolean;
  /** Lower-case name of the header in which the runtime, and nobody else, writes the client's address. */
  addressHeader: string | null;
  /** Is told why there was no reply that can be believed. */
  onProblem(reason: string): void;
}

/** Of one connection only (RFC 9110 section 7.6.1), or made anew for the next. */
const OWN = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'content-length',
  'expect',
  'accept-encoding',
  'x-forwarded-for',
  'forwarded',
  RELAY_MARK,
]);

/** Of replies too; and what this gateway says for itself, from the same config. */
const OWN_OF_REPLY = /^(?:access-control-.*|vary|date|server|alt-svc|content-encoding|set-cookie)$/;

/** The way to an origin over fetch. Nothing is sent twice: whoever has no verdict sends again, and ids tell. */
export function fetchRelay(options: RelayOptions): Relay {
  const { timeout, forwardsRefusedRequests, onProblem } = options;
  const base = options.origin.replace(/\/+$/, '');

  async function forward(passage: Passage): Promise<PassedReply | null> {
    try {
      const response = await fetch(base + passage.target, {
        method: passage.method,
        headers: headersOf(passage, options.addressHeader),
        body:
          passage.body !== null && passage.body.length > 0 ? (passage.body as Uint8Array<ArrayBuffer>) : null,
        redirect: 'manual',
        signal: AbortSignal.timeout(timeout),
      });
      // A 200 of whatever answers at that address would be taken for stored.
      if (response.headers.get(RELAY_MARK) === null) {
        onProblem(`status ${response.status} of something that is no Postern`);
        await response.body?.cancel();
        return null;
      }
      const body = new Uint8Array(await response.arrayBuffer());
      const { status } = response;
      return { status, headers: replyHeaders(response.headers), body: body.length === 0 ? null : body };
    } catch (error) {
      onProblem(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
      return null;
    }
  }

  return { forwardsRefusedRequests, forward };
}

function headersOf({ headers }: Passage, addressHeader: string | null): Headers {
  const sent = new Headers();
  let forwarded: string | undefined;
  let address: string | undefined;
  for (const [name, value] of headers) {
    if (name === 'x-forwarded-for') forwarded = value;
    if (name === addressHeader) address = value;
    if (!OWN.has(name)) sent.append(name, value);
  }
  // Without a word of the runtime's own, the last address in the list would be one that the client made up.
  if (address !== undefined) {
    sent.set('x-forwarded-for', forwarded === undefined ? address : `${forwarded}, ${address}`);
  }
  sent.set('accept-encoding', 'identity');
  sent.set(RELAY_MARK, '1');
  return sent;
}

function replyHeaders(headers: Headers): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (!OWN.has(name) && !OWN_OF_REPLY.test(name)) passed[name] = value;
  }
  // What a refusal says of the codings that are taken is for the client.
  const codings = headers.get('accept-encoding');
  if (codings !== null) passed['accept-encoding'] = codings;
  return passed;
}
