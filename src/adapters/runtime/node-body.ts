import type { IncomingMessage } from 'node:http';
import { RequestError } from '../../core/errors.ts';
import { type ReadOptions, slowness } from '../../ports/platform.ts';
import type { Deadlines, Timed } from './deadlines.ts';

/** Bytes of the first block that chunks are copied into. */
const BLOCK = 16 * 1024;

/** Reads the body of a request that Node's HTTP server has parsed; see `Platform.readBody`. */
export function readNodeBody(
  incoming: IncomingMessage,
  options: ReadOptions,
  readings: Deadlines,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const collected = new Collected(Number(incoming.headers['content-length'] ?? options.limit), options);
    const started = performance.now();
    let settled = false;
    const reading: Timed = {
      place: 0,
      isDue: (now) => slowness(collected.size, now - started, options) !== null,
      expire: (now) =>
        fail(new RequestError('body_timeout', slowness(collected.size, now - started, options)!)),
    };
    readings.add(reading);
    options.started(fail);

    function fail(error: RequestError): void {
      if (settled) return;
      settled = true;
      readings.delete(reading);
      collected.drop();
      incoming.off('data', onData);
      incoming.pause();
      reject(error);
    }
    function onData(chunk: Buffer): void {
      try {
        collected.add(chunk);
      } catch (error) {
        fail(error as RequestError);
      }
    }

    // The listeners stay after the end: removing them costs more than they do.
    incoming.on('data', onData);
    incoming.on('end', () => {
      if (settled) return;
      settled = true;
      readings.delete(reading);
      resolve(collected.bytes());
    });
    const onClose = () => {
      if (!settled) fail(new RequestError('body_aborted', 'the connection ended before the body did'));
    };
    incoming.on('close', onClose);
    // The connection may have closed while the token was checked: then there is no event any more.
    if (incoming.destroyed) onClose();
  });
}

/**
 * The bytes of a body so far. The first chunk is kept as it is; with the next ones it is copied into one block, because a
 * chunk of one byte takes a hundred times its size.
 */
class Collected {
  size = 0;
  #block: Buffer = EMPTY;
  readonly #most: number;
  readonly #limit: number;
  readonly #grow: (bytes: number) => void;

  /** `most`: upper bound of the body's bytes. */
  constructor(most: number, { limit, grow }: ReadOptions) {
    this.#most = Math.min(most, limit);
    this.#limit = limit;
    this.#grow = grow;
  }

  /** Throws RequestError `body_too_large`, or what `grow` throws. */
  add(chunk: Buffer): void {
    const size = this.size + chunk.length;
    if (size > this.#limit)
      throw new RequestError('body_too_large', `body has more than ${this.#limit} bytes`);
    if (this.size === 0) {
      this.#grow(size);
      this.#block = chunk;
    } else {
      if (size > this.#block.length) this.#extend(size);
      chunk.copy(this.#block, this.size);
    }
    this.size = size;
  }

  bytes(): Uint8Array {
    return this.#block.length === this.size ? this.#block : this.#block.subarray(0, this.size);
  }

  drop(): void {
    this.#block = EMPTY;
  }

  #extend(size: number): void {
    const length = Math.max(size, Math.min(this.#most, Math.max(BLOCK, 2 * size)));
    this.#grow(length - this.#block.length);
    const block = Buffer.allocUnsafeSlow(length);
    this.#block.copy(block, 0, 0, this.size);
    this.#block = block;
  }
}

const EMPTY = Buffer.alloc(0);
