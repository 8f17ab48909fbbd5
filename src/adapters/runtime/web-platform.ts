import crc32 from 'crc-32';
import { toBase64, toHex } from '../../core/encoding.ts';
import { RequestError } from '../../core/errors.ts';
import { type Coding, type Platform, type ReadOptions, slowness } from '../../ports/platform.ts';
import { makeSha256 } from './sha256.ts';

/** The platform on runtimes with only the web's own interfaces, such as Workers. */
export function webPlatform(): Platform {
  const sha256 = makeSha256();
  const encoder = new TextEncoder();
  return {
    digest: (text) => toBase64(sha256(encoder.encode(text))).slice(0, 22),
    sha256: (bytes) => toHex(sha256(bytes)),
    checksum: (bytes) => crc32.buf(bytes) >>> 0,
    codings: ['gzip', 'deflate'],
    inflate,
    readBody: (request, _env, options) => readBody(request, options),
    header: (request, _env, name) => request.headers.get(name) ?? undefined,
    // Only headers have it, and the gateway that stores the events reads them.
    peer: () => undefined,
    headers: (request) => request.headers,
    headerCount: (request) => [...request.headers.keys()].length,
    isGone: (request) => request.signal.aborted,
    // A worker's request may not wait for another request.
    enter: () => null,
    turn: () => new Promise((resolve) => setTimeout(resolve, 0)),
  };
}

async function readBody(request: Request, options: ReadOptions): Promise<Uint8Array> {
  const { limit, grow, started } = options;
  if (request.body === null) return new Uint8Array(0);
  const reader = request.body.getReader();
  const begun = Date.now();
  let size = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  const stopped = new Promise<never>((_, reject) => {
    timer = setInterval(() => {
      const slow = slowness(size, Date.now() - begun, options);
      if (slow !== null) reject(new RequestError('body_timeout', slow));
    }, 250);
    started(reject);
  });
  try {
    const take = (bytes: number) => {
      size += bytes;
      if (size > limit) throw new RequestError('body_too_large', `body has more than ${limit} bytes`);
      grow(bytes);
    };
    return await collect(() => Promise.race([reader.read(), stopped]), take);
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof RequestError) throw error;
    throw new RequestError('body_aborted', 'the connection ended before the body did');
  } finally {
    clearInterval(timer);
  }
}

/** Reads to the end. `take` gets each chunk's size before the chunk is kept. */
async function collect(
  read: () => Promise<{ done: boolean; value?: Uint8Array | undefined }>,
  take: (bytes: number) => void,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await read();
    if (done || value === undefined) break;
    size += value.length;
    take(value.length);
    chunks.push(value);
  }
  if (chunks.length === 1) return chunks[0]!;
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

async function inflate(
  coding: Coding,
  bytes: Uint8Array,
  grow: (bytes: number) => void,
): Promise<Uint8Array> {
  // HTTP's `deflate` is the zlib format (RFC 9110 section 8.4.1.2), but some clients send raw deflate.
  const isZlib = bytes.length > 1 && (bytes[0]! & 0x0f) === 8 && ((bytes[0]! << 8) | bytes[1]!) % 31 === 0;
  const stream = new DecompressionStream(coding === 'gzip' ? coding : isZlib ? 'deflate' : 'deflate-raw');
  const writer = stream.writable.getWriter();
  // Its errors are also errors of the reader.
  writer
    .write(bytes as Uint8Array<ArrayBuffer>)
    .then(() => writer.close())
    .catch(() => {});
  const reader = stream.readable.getReader();
  try {
    return await collect(() => reader.read(), grow);
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof RequestError) throw error;
    throw new RequestError('bad_encoding', `body is not whole and valid ${coding}, and nothing else`);
  }
}
