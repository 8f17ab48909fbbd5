import { sha256 } from '@noble/hashes/sha2.js';
import { toBase64, toHex } from '../../core/encoding.ts';
import { RequestError } from '../../core/errors.ts';
import type { BodyLimits, BodyMemory, Coding, Platform } from '../../ports/platform.ts';
import { slowness } from './slowness.ts';

/** The platform on runtimes that have web APIs only, such as Workers. */
export function webPlatform(): Platform {
  const encoder = new TextEncoder();
  return {
    // In JavaScript, as the runtime's own digests are promises and a request's key is checked at once.
    digest: (text) => toBase64(sha256(encoder.encode(text))).slice(0, 22),
    sha256: (bytes) => toHex(sha256(bytes)),
    checksum: makeCrc32(),
    codings: ['gzip', 'deflate'],
    inflate,
    readBody: (request, _env, limits, memory) => readBody(request, limits, memory),
    header: (request, _env, name) => request.headers.get(name) ?? undefined,
    // Known from headers only, which the origin reads.
    peer: () => undefined,
    headers: (request) => request.headers,
    headerCount: (request) => [...request.headers.keys()].length,
    isGone: (request) => request.signal.aborted,
    // In Workers a request may not wait for another one.
    enter: () => null,
    turn: () => new Promise((resolve) => setTimeout(resolve, 0)),
  };
}

/** CRC-32 as in gzip (RFC 1952 section 8). A library would be 2 kB of the bundle, for Segment events alone. */
function makeCrc32(): (bytes: Uint8Array) => number {
  const table = Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    return value;
  });
  return (bytes) => {
    let crc = -1;
    for (const byte of bytes) crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
    return ~crc >>> 0;
  };
}

async function readBody(request: Request, limits: BodyLimits, memory: BodyMemory): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array(0);
  const reader = request.body.getReader();
  const begun = Date.now();
  let size = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  const stopped = new Promise<never>((_, reject) => {
    timer = setInterval(() => {
      const slow = slowness(size, Date.now() - begun, limits);
      if (slow !== null) reject(new RequestError('body_timeout', slow));
    }, 250);
    memory.stop = reject;
  });
  try {
    const take = (bytes: number) => {
      size += bytes;
      if (size > limits.limit)
        throw new RequestError('body_too_large', `body has more than ${limits.limit} bytes`);
      memory.grow(bytes);
    };
    return await collect(() => Promise.race([reader.read(), stopped]), take);
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof RequestError) throw error;
    throw new RequestError('body_aborted', 'the connection ended before the body did');
  } finally {
    clearInterval(timer);
    memory.stop = null;
  }
}

/** Reads to the end. `take` gets the size of each chunk before the chunk is kept. */
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
  // HTTP's deflate is the zlib format (RFC 9110 8.4.1.2), but some clients send it raw.
  const isZlib = bytes.length > 1 && (bytes[0]! & 0x0f) === 8 && ((bytes[0]! << 8) | bytes[1]!) % 31 === 0;
  const stream = new DecompressionStream(coding === 'gzip' ? coding : isZlib ? 'deflate' : 'deflate-raw');
  const writer = stream.writable.getWriter();
  // Errors show up at the readable side.
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
