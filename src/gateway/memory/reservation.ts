import type { RequestError } from '../../core/errors.ts';
import type { Placed } from '../../core/placed.ts';
import type { Quota } from './quotas.ts';

export type Unit = 'bytes' | 'requests';

/** The memory that reservations are part of. */
export interface Lender {
  /**
   * Ends other bodies of the quota until so many bytes fit. Throws RequestError `overloaded` when they do not fit,
   * `body_too_large` when they never could.
   */
  evict(quota: Quota, bytes: number, reservation: Reservation): void;
  forget(reservation: Reservation): void;
}

/** Milliseconds before a body can be called slow. It may also pause for so long. */
const SLOW_AFTER_MS = 1_000;
/** Bytes that a body is expected to bring in that time. */
const FRESH = 64 * 1024;

/** The part of the memory that one request holds. */
export class Reservation implements Placed {
  bytes = 0;
  /** The quotas of all requests, of the source, and of the address if known. Before it is let in, also of strangers at its address. */
  readonly quotas: Quota[];
  place = 0;
  /** Ends the reading of the body; null when no body is read. */
  stop: ((error: RequestError) => void) | null = null;
  readonly #lender: Lender;
  /** Whole milliseconds: V8 makes an object of each number with a fraction. */
  readonly #started = wholeNow();
  /** When it grew last, and what it had at two recent moments. */
  #grown = this.#started;
  #beforeAt = this.#started;
  #beforeBytes = 0;
  #lateAt = this.#started;
  #lateBytes = 0;
  #released = false;

  constructor(lender: Lender, quotas: Quota[]) {
    this.#lender = lender;
    this.quotas = quotas;
  }

  /** Throws RequestError `overloaded` when a quota is used up and nobody has to give way. */
  grow(bytes: number): void {
    if (this.#released) return;
    for (const quota of this.quotas)
      if (quota.bytes + bytes > quota.maxBytes) this.#lender.evict(quota, bytes, this);
    for (const quota of this.quotas) quota.bytes += bytes;
    this.bytes += bytes;
    // A body that comes in one piece has no rate.
    if (this.stop !== null && this.bytes > bytes) this.#mark(wholeNow());
  }

  /**
   * What the address holds, divided by the rate at which this body comes. So the slowest body gives way first, and no
   * client evicts those that hold less than it does. `more`: what the request needs now.
   */
  burden(unit: Unit, now: number, more = 0): number {
    const address = this.quotas[2];
    const rate = this.#rate(now, unit === 'bytes' ? more : 0);
    return (address === undefined ? 1 : address[unit] + more) / rate;
  }

  /** Gives everything back, once. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.stop = null;
    for (const quota of this.quotas) {
      quota.bytes -= this.bytes;
      quota.requests--;
    }
    this.#lender.forget(this);
  }

  /** The recent rate: a body that came fast and then stopped is slow. */
  #rate(now: number, more: number): number {
    const bytes = this.bytes + more;
    if (now - this.#started < SLOW_AFTER_MS) return Math.max(bytes, FRESH) / SLOW_AFTER_MS;
    if (more === 0 && now - this.#grown > SLOW_AFTER_MS) return 0;
    return (bytes - this.#beforeBytes) / (now - this.#beforeAt);
  }

  #mark(now: number): void {
    this.#grown = now;
    if (now - this.#lateAt < SLOW_AFTER_MS) return;
    this.#beforeAt = this.#lateAt;
    this.#beforeBytes = this.#lateBytes;
    this.#lateAt = now;
    this.#lateBytes = this.bytes;
  }
}

/** Milliseconds on a clock that does not jump. */
export function wholeNow(): number {
  return Math.floor(performance.now());
}
