import type { Limits } from '../config/gateway/types.ts';
import { RequestError } from '../core/errors.ts';
import { addPlaced, type Placed, removePlaced } from '../core/placed.ts';
import { type Share, Shares } from './shares.ts';

type Unit = 'bytes' | 'requests';

/** Milliseconds that a body has before it can be called slow, and for which it may pause. */
const SLOW_AFTER_MS = 1_000;
/** Bytes that a body is expected to bring in that time. */
const FRESH = 64 * 1024;

/**
 * Room for requests and for the bytes that they hold; shared by all of a gateway. One address, one source and those
 * who are not let in yet can take a share of it, so that the rest is left to the others.
 */
export class Room {
  readonly #shares: Shares;
  readonly #holds: Hold[] = [];

  constructor(limits: Limits) {
    this.#shares = new Shares(limits);
  }

  get bytes(): number {
    return this.#shares.all.bytes;
  }

  /**
   * `source`: null while nobody has vouched for the request: its key is in the body, or its signature covers the body.
   * `address`: the client's; null when it is not known. Throws RequestError `overloaded` when there are too many requests.
   */
  enter(source: string | null, address: string | null): Hold {
    const { all } = this.#shares;
    const ofSource = this.#shares.ofSource(source);
    const shares = address === null ? [all, ofSource] : [all, ofSource, this.#shares.ofAddress(address)];
    if (address !== null && source === null) shares.push(this.#shares.ofStranger(address));
    const hold = new Hold(this, shares);
    for (const share of shares) {
      if (share.requests >= share.maxRequests) this.#makePlace(share, hold);
      if (share.bytes >= share.maxBytes) this.makeRoom(share, 1, hold);
    }
    for (const share of shares) share.requests++;
    addPlaced(this.#holds, hold);
    return hold;
  }

  /** Gives a request that is let in now its source's share. Throws RequestError `overloaded`. */
  admit(hold: Hold, source: string): void {
    const share = this.#shares.ofSource(source);
    const before = hold.shares[1]!;
    if (before === share) return;
    if (share.requests >= share.maxRequests) this.#makePlace(share, hold);
    this.#clear(share, hold.bytes, hold);
    before.bytes -= hold.bytes;
    before.requests--;
    share.bytes += hold.bytes;
    share.requests++;
    hold.shares[1] = share;
    const stranger = hold.shares[3];
    if (stranger === undefined) return;
    stranger.bytes -= hold.bytes;
    stranger.requests--;
    hold.shares.pop();
  }

  /**
   * Ends other bodies of the share until so many bytes fit. Throws RequestError `overloaded` when they do not,
   * `body_too_large` when they never could.
   */
  makeRoom(share: Share, bytes: number, hold: Hold): void {
    if (hold.bytes + bytes > share.maxBytes)
      throw new RequestError(
        'body_too_large',
        `the request needs more than ${share.maxBytes} bytes, the limit ${share.name}`,
      );
    this.#clear(share, bytes, hold);
  }

  #clear(share: Share, bytes: number, hold: Hold): void {
    while (share.bytes + bytes > share.maxBytes) {
      if (!this.#endOne(share, hold, 'bytes', bytes))
        throw overloaded(`too many bytes in work ${share.name}`, share.limit);
    }
  }

  /** Throws RequestError `overloaded` when none of the share's requests is slow. */
  #makePlace(share: Share, hold: Hold): void {
    if (!this.#endOne(share, hold, 'requests', 1))
      throw overloaded(`too many requests at once ${share.name}`, 'requests');
  }

  remove(hold: Hold): void {
    removePlaced(this.#holds, hold);
  }

  /** Ends the body that is the greatest burden, if `hold`, which needs so much more, is a lesser one. Tells whether there was one. */
  #endOne(share: Share, hold: Hold, unit: Unit, more: number): boolean {
    const now = wholeNow();
    let most = hold.burden(unit, now, more);
    let found: Hold | null = null;
    for (const other of this.#holds) {
      if (other === hold || other.stop === null || !other.shares.includes(share)) continue;
      // It has nothing to give.
      if (unit === 'bytes' && other.bytes === 0) continue;
      const burden = other.burden(unit, now);
      if (burden <= most) continue;
      most = burden;
      found = other;
    }
    if (found === null) return false;
    const { stop } = found;
    found.leave();
    stop!(overloaded(`too much in work ${share.name}; this body gave way to others`, share.limit));
    return true;
  }
}

/** What one request holds of the room. */
export class Hold implements Placed {
  bytes = 0;
  /** All, its party's, and its address' if that is known; of who is not let in yet also what its address has so. */
  readonly shares: Share[];
  place = 0;
  /** Ends the reading of its body; null when that is not being read. */
  stop: ((error: RequestError) => void) | null = null;
  readonly #room: Room;
  /** Whole milliseconds: V8 makes an object of each number with a fraction. */
  readonly #started = wholeNow();
  /** When it grew last, and what it had at two moments of late. */
  #grown = this.#started;
  #beforeAt = this.#started;
  #beforeBytes = 0;
  #lateAt = this.#started;
  #lateBytes = 0;
  #left = false;

  constructor(room: Room, shares: Share[]) {
    this.#room = room;
    this.shares = shares;
  }

  /** Throws RequestError `overloaded` when a share is used up and nobody has to give way. */
  grow(bytes: number): void {
    if (this.#left) return;
    for (const share of this.shares)
      if (share.bytes + bytes > share.maxBytes) this.#room.makeRoom(share, bytes, this);
    for (const share of this.shares) share.bytes += bytes;
    // A body that comes at once has no rate.
    if (this.stop !== null && this.bytes > 0) this.#mark(wholeNow());
    this.bytes += bytes;
  }

  /**
   * What its address has of the room for each byte a millisecond that come for it: so the slowest gives way first, and
   * nobody gets others out who has more than they. `more`: what it needs now.
   */
  burden(unit: Unit, now: number, more = 0): number {
    const address = this.shares[2];
    const rate = this.#rate(now, unit === 'bytes' ? more : 0);
    return (address === undefined ? 1 : address[unit] + more) / rate;
  }

  /** Of late: what came fast before it stopped coming holds no place. */
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

  /** Gives all back, once. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.stop = null;
    for (const share of this.shares) {
      share.bytes -= this.bytes;
      share.requests--;
    }
    this.#room.remove(this);
  }
}

function wholeNow(): number {
  return Math.floor(performance.now());
}

function overloaded(detail: string, limit: keyof Limits): RequestError {
  const fault = new RequestError('overloaded', detail, { 'retry-after': '1' });
  // For the log: whether more gateways help, or a proxy is not listed.
  fault.cause = `gateway.limits.${limit}`;
  return fault;
}
