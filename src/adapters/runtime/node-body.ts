import type { IncomingMessage } from 'node:http';
import { RequestError } from '../../core/errors.ts';
import type { BodyLimits, BodyMemory } from '../../ports/platform.ts';
import type { Deadlines, Timed } from './deadlines.ts';
import { slowness } from './slowness.ts';

/** Bytes of the first block that chunks are copied into. */
const BLOCK = 16 * 1024;

/** Reads the body of a request that Node's HTTP server has parsed; see `RequestConnection.readBody`. */
export function readNodeBody(
  incoming: IncomingMessage,
  limits: BodyLimits,
  memory: BodyMemory,
  readings: Deadlines,
): Promise<Uint8Array> {
  // Closures on purpose: with an object of a class in their place, garbage collection took three times as long.
  return new Promise((resolve, reject) => {
    const collected = new Collected(incoming, limits.limit, memory);
    const started = performance.now();
    let settled = false;
    const reading: Timed = {
      place: 0,
      isDue: (now) => slowness(collected.size, now - started, limits) !== null,
      expire: (now) =>
        fail(new RequestError('body_timeout', slowness(collected.size, now - started, limits)!)),
    };
    readings.add(reading);
    memory.stop = fail;

    function fail(error: RequestError): void {
      if (settled) return;
      settled = true;
      memory.stop = null;
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

    // The listeners stay when the body is complete: to remove them costs more than to keep them.
    incoming.on('data', onData);
    incoming.on('end', () => {
      if (settled) return;
      settled = true;
      memory.stop = null;
      readings.delete(reading);
      resolve(collected.bytes());
    });
    const onClose = () => {
      if (!settled) fail(new RequestError('body_aborted', 'the connection ended before the body did'));
    };
    incoming.on('close', onClose);
    // The connection may have ended while the token was checked. Then no further event comes.
    if (incoming.destroyed) onClose();
  });
}

/**
 * The bytes so far. A body in one chunk is used as it is. Several chunks are copied together: a chunk of one byte that
 * is kept by itself takes a hundred times its size.
 */
class Collected {
  size = 0;
  #block: Buffer = EMPTY;
  readonly #incoming: IncomingMessage;
  readonly #limit: number;
  readonly #memory: BodyMemory;

  constructor(incoming: IncomingMessage, limit: number, memory: BodyMemory) {
    this.#incoming = incoming;
    this.#limit = limit;
    this.#memory = memory;
  }

  /** Throws RequestError `body_too_large`, or what `grow` throws. */
  add(chunk: Buffer): void {
    const size = this.size + chunk.length;
    if (size > this.#limit)
      throw new RequestError('body_too_large', `body has more than ${this.#limit} bytes`);
    if (this.size === 0) {
      this.#memory.grow(size);
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
    const announced = Number(this.#incoming.headers['content-length'] ?? this.#limit);
    const most = Math.min(announced, this.#limit);
    const length = Math.max(size, Math.min(most, Math.max(BLOCK, 2 * size)));
    this.#memory.grow(length - this.#block.length);
    const block = Buffer.allocUnsafeSlow(length);
    this.#block.copy(block, 0, 0, this.size);
    this.#block = block;
  }
}

const EMPTY = Buffer.alloc(0);
