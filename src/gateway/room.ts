import type { Limits } from '../config.ts';
import { RequestError } from '../errors.ts';

/** Room for requests and for the bytes that they hold; shared by all of a gateway. */
export class Room {
  readonly #limits: Limits;
  bytes = 0;
  requests = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Throws RequestError `overloaded` when there are too many requests or bytes. */
  enter(bytes: number): void {
    if (this.requests >= this.#limits.requests) throw overloaded('too many requests at once');
    this.requests++;
    try {
      this.grow(bytes);
    } catch (error) {
      this.requests--;
      throw error;
    }
  }

  grow(bytes: number): void {
    if (this.bytes + bytes > this.#limits.buffered) throw overloaded('too many bytes in work');
    this.bytes += bytes;
  }

  leave(bytes: number): void {
    this.requests--;
    this.bytes -= bytes;
  }
}

function overloaded(detail: string): RequestError {
  return new RequestError('overloaded', detail, { 'retry-after': '1' });
}
