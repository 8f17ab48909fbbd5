import * as zlib from 'node:zlib';
import pLimit from 'p-limit';
import { RequestError } from '../../core/errors.ts';
import type { Coding } from '../../ports/platform.ts';

type Kind = 'gzip' | 'inflate' | 'inflateRaw' | 'br' | 'zstd';
type Options = zlib.ZlibOptions & { info?: true };
/** With `info`, zlib tells how many bytes it read: it says nothing of bytes after the stream. */
type Inflated = { buffer: Buffer; engine: { bytesWritten: number } };
type InflateSync = (bytes: Uint8Array, options: Options) => Inflated;
type Stream = (zlib.Gunzip | zlib.Inflate | zlib.InflateRaw | zlib.BrotliDecompress) & AsyncIterable<Buffer>;

/** Bytes of a body, before and after, that is inflated at once: a trip to the thread pool costs more. */
const INLINE = 4096;
const INLINE_OUT = 64 * 1024;
const CHUNK = 64 * 1024;
/** Streams that are inflated at the same time. Each may need a window of 16 MiB beside its output. */
const AT_ONCE = 2;
/** A few bytes may ask for a window of 2 GiB. Every decoder must support 8 MiB (RFC 8878 section 3.1.1.1.2). */
const ZSTD = { params: { [zlib.constants.ZSTD_d_windowLogMax]: 23 } };

const inline: Record<Kind, InflateSync> = {
  gzip: zlib.gunzipSync as unknown as InflateSync,
  inflate: zlib.inflateSync as unknown as InflateSync,
  inflateRaw: zlib.inflateRawSync as unknown as InflateSync,
  br: zlib.brotliDecompressSync as unknown as InflateSync,
  zstd: zlib.zstdDecompressSync as unknown as InflateSync,
};
const streams: Record<Kind, (options: Options) => Stream> = {
  gzip: zlib.createGunzip,
  inflate: zlib.createInflate,
  inflateRaw: zlib.createInflateRaw,
  br: zlib.createBrotliDecompress,
  zstd: zlib.createZstdDecompress as unknown as (options: Options) => Stream,
};

/** Makes `Inflater.inflate` on Node. */
export function makeInflate() {
  const turns = pLimit(AT_ONCE);
  return async (coding: Coding, bytes: Uint8Array, grow: (bytes: number) => void): Promise<Uint8Array> => {
    const kind = kindOf(coding, bytes);
    try {
      if (bytes.length > INLINE) return await turns(() => inflateStream(kind, bytes, grow));
      const small = inflateSmall(kind, bytes);
      // Throws when even that is too much.
      grow(small?.length ?? INLINE_OUT + 1);
      if (small !== null) return small;
      grow(-INLINE_OUT - 1);
      return await turns(() => inflateStream(kind, bytes, grow));
    } catch (error) {
      if (error instanceof RequestError) throw error;
      throw new RequestError('bad_encoding', `body is not whole and valid ${coding}, and nothing else`);
    }
  };
}

/** HTTP's `deflate` is the zlib format (RFC 9110 section 8.4.1.2), but some clients send raw deflate. */
function kindOf(coding: Coding, bytes: Uint8Array): Kind {
  if (coding !== 'deflate') return coding;
  const isZlib = bytes.length > 1 && (bytes[0]! & 0x0f) === 8 && ((bytes[0]! << 8) | bytes[1]!) % 31 === 0;
  return isZlib ? 'inflate' : 'inflateRaw';
}

function optionsOf(kind: Kind): Options {
  return kind === 'zstd' ? (ZSTD as Options) : {};
}

/** Inflates at once; null when the output is over `INLINE_OUT` bytes. */
function inflateSmall(kind: Kind, bytes: Uint8Array): Uint8Array | null {
  try {
    const options: Options = { ...optionsOf(kind), maxOutputLength: INLINE_OUT, info: true };
    const { buffer, engine } = inline[kind](bytes, options);
    if (engine.bytesWritten === bytes.length) return buffer;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return null;
    throw error;
  }
  throw new Error('something follows');
}

async function inflateStream(
  kind: Kind,
  bytes: Uint8Array,
  grow: (bytes: number) => void,
): Promise<Uint8Array> {
  // Throws when the client has gone while other streams had their turn.
  grow(0);
  const stream = streams[kind]({ ...optionsOf(kind), chunkSize: CHUNK });
  const chunks: Buffer[] = [];
  stream.end(bytes);
  // An error in this loop also ends the stream.
  for await (const chunk of stream) {
    grow(chunk.length);
    chunks.push(chunk);
  }
  if (stream.bytesWritten !== bytes.length) throw new Error('something follows');
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}
