import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as zlib from 'node:zlib';
import { RequestError } from '../errors.ts';
import type { Coding, Platform, ReadOptions } from '../ports/platform.ts';
import { Deadlines, type Timed } from './deadlines.ts';

/** What @hono/node-server hands to the app as `env`. */
export interface NodeEnv {
  incoming: IncomingMessage;
  outgoing: ServerResponse;
}

/** Bodies up to this size are inflated at once: a trip to the thread pool costs more. */
const INLINE = 4096;
const INLINE_OUT = 64 * 1024;

/** The platform on Node. `stop` ends its timer. */
export function nodePlatform(): Platform & { stop(): void } {
  const readings = new Deadlines();
  // One timer for all bodies: a timer for each would cost more than most bodies take to come.
  const sweep = setInterval(() => readings.sweep(performance.now()), 250);
  sweep.unref();
  return {
    digest: (text) => hash('sha256', text, 'base64').slice(0, 22),
    sha256: (bytes) => hash('sha256', bytes, 'hex'),
    checksum: (bytes) => zlib.crc32(bytes),
    codings: ['gzip', 'deflate', 'br', 'zstd'],
    inflate,
    readBody: (_request, env, options) => readBody(env as NodeEnv, options, readings),
    header: (_request, env, name) => (env as NodeEnv).incoming.headers[name] as string | undefined,
    peer: (_request, env) => (env as NodeEnv).incoming.socket.remoteAddress,
    headers: (_request, env) => fieldsOf((env as NodeEnv).incoming.rawHeaders),
    headerCount: (_request, env) => (env as NodeEnv).incoming.rawHeaders.length / 2,
    stop: () => clearInterval(sweep),
  };
}

function* fieldsOf(raw: string[]): Iterable<[string, string]> {
  for (let i = 0; i < raw.length; i += 2) yield [raw[i]!.toLowerCase(), raw[i + 1]!];
}

function readBody(
  { incoming, outgoing }: NodeEnv,
  options: ReadOptions,
  readings: Deadlines,
): Promise<Uint8Array> {
  if (incoming.headers.expect !== undefined) outgoing.writeContinue();
  return new Promise((resolve, reject) => {
    let first: Buffer | null = null;
    let rest: Buffer[] | null = null;
    let size = 0;
    let settled = false;
    const reading: Timed = {
      deadline: performance.now() + options.timeout,
      place: 0,
      expire: () => fail(new RequestError('body_timeout', 'the body did not come in time')),
    };
    readings.add(reading);

    function fail(error: RequestError): void {
      if (settled) return;
      settled = true;
      readings.delete(reading);
      incoming.off('data', onData);
      incoming.pause();
      reject(error);
    }
    function onData(chunk: Buffer): void {
      size += chunk.length;
      if (size > options.limit) {
        fail(new RequestError('body_too_large', `body has more than ${options.limit} bytes`));
        return;
      }
      try {
        options.grow(chunk.length);
      } catch (error) {
        fail(error as RequestError);
        return;
      }
      if (first === null) first = chunk;
      else if (rest === null) rest = [first, chunk];
      else rest.push(chunk);
    }

    // They are left in place when the body has come: taking them off costs more than they do.
    incoming.on('data', onData);
    incoming.on('end', () => {
      if (settled) return;
      settled = true;
      readings.delete(reading);
      resolve(rest === null ? (first ?? Buffer.alloc(0)) : Buffer.concat(rest, size));
    });
    incoming.on('close', () => {
      if (!settled) fail(new RequestError('body_aborted', 'the connection ended before the body did'));
    });
  });
}

/** With `info`, zlib tells how many bytes it took: it stops in silence at what follows the stream. */
type Inflated = { buffer: Buffer; engine: { bytesWritten: number } };
type InflateOptions = zlib.ZlibOptions & { info: true };
type Inflate = (
  bytes: Uint8Array,
  options: InflateOptions,
  done: (error: Error | null, out: Inflated) => void,
) => void;
type InflateSync = (bytes: Uint8Array, options: InflateOptions) => Inflated;

const pooled = {
  gzip: zlib.gunzip as unknown as Inflate,
  inflate: zlib.inflate as unknown as Inflate,
  inflateRaw: zlib.inflateRaw as unknown as Inflate,
  br: zlib.brotliDecompress as unknown as Inflate,
  zstd: zlib.zstdDecompress as unknown as Inflate,
};

const inline = {
  gzip: zlib.gunzipSync as unknown as InflateSync,
  inflate: zlib.inflateSync as unknown as InflateSync,
  inflateRaw: zlib.inflateRawSync as unknown as InflateSync,
  br: zlib.brotliDecompressSync as unknown as InflateSync,
  zstd: zlib.zstdDecompressSync as unknown as InflateSync,
};

const isTooLarge = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';

async function inflate(coding: Coding, bytes: Uint8Array, limit: number): Promise<Uint8Array> {
  // HTTP's deflate is the zlib format (RFC 9110 8.4.1.2), but some clients send it raw.
  const zlibHeader =
    bytes.length > 1 && (bytes[0]! & 0x0f) === 8 && ((bytes[0]! << 8) | bytes[1]!) % 31 === 0;
  const kind = coding === 'deflate' ? (zlibHeader ? 'inflate' : 'inflateRaw') : coding;
  try {
    const { buffer, engine } = await inflateKind(kind, bytes, limit);
    if (engine.bytesWritten === bytes.length) return buffer;
  } catch (error) {
    if (isTooLarge(error)) {
      throw new RequestError(
        'body_too_large',
        `body has more than ${limit} bytes after content-encoding ${coding}`,
      );
    }
  }
  throw new RequestError('bad_encoding', `body is not whole and valid ${coding}, and nothing else`);
}

async function inflateKind(kind: keyof typeof pooled, bytes: Uint8Array, limit: number): Promise<Inflated> {
  if (bytes.length <= INLINE) {
    try {
      return inline[kind](bytes, { maxOutputLength: Math.min(limit, INLINE_OUT), info: true });
    } catch (error) {
      if (!isTooLarge(error) || limit <= INLINE_OUT) throw error;
    }
  }
  return new Promise((resolve, reject) => {
    pooled[kind](bytes, { maxOutputLength: limit, info: true }, (error, out) =>
      error ? reject(error) : resolve(out),
    );
  });
}
