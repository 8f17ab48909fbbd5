import type { Limits } from '../../config/gateway/types.ts';
import { RequestError } from '../../core/errors.ts';
import { addPlaced, removePlaced } from '../../core/placed.ts';
import { type Quota, Quotas } from './quotas.ts';
import { type Lender, Reservation, type Unit, wholeNow } from './reservation.ts';

/**
 * Counts the requests in work and the bytes that they hold, for all of a gateway. One address, one source, and all
 * requests that are not let in yet have quotas, so that the rest is left to others.
 */
export class RequestMemory implements Lender {
  readonly #quotas: Quotas;
  readonly #reservations: Reservation[] = [];

  constructor(limits: Limits) {
    this.#quotas = new Quotas(limits);
  }

  get bytes(): number {
    return this.#quotas.all.bytes;
  }

  /**
   * Counts a request. `source` is null while nobody vouches for the request: its key is in the body, or its signature
   * covers the body. `address` is the client's, null when unknown. Throws RequestError `overloaded` when there are too
   * many requests.
   */
  reserve(source: string | null, address: string | null): Reservation {
    const { all } = this.#quotas;
    const ofSource = this.#quotas.ofSource(source);
    const quotas = address === null ? [all, ofSource] : [all, ofSource, this.#quotas.ofAddress(address)];
    if (address !== null && source === null) quotas.push(this.#quotas.ofStranger(address));
    const reservation = new Reservation(this, quotas);
    for (const quota of quotas) {
      if (quota.requests >= quota.maxRequests) this.#evictRequest(quota, reservation);
      if (quota.bytes >= quota.maxBytes) this.evict(quota, 1, reservation);
    }
    for (const quota of quotas) quota.requests++;
    addPlaced(this.#reservations, reservation);
    return reservation;
  }

  /** Counts a request that is let in now for its source. Throws RequestError `overloaded`. */
  admit(reservation: Reservation, source: string): void {
    const quota = this.#quotas.ofSource(source);
    const before = reservation.quotas[1]!;
    if (before === quota) return;
    if (quota.requests >= quota.maxRequests) this.#evictRequest(quota, reservation);
    this.#evictBytes(quota, reservation.bytes, reservation);
    before.bytes -= reservation.bytes;
    before.requests--;
    quota.bytes += reservation.bytes;
    quota.requests++;
    reservation.quotas[1] = quota;
    const stranger = reservation.quotas[3];
    if (stranger === undefined) return;
    stranger.bytes -= reservation.bytes;
    stranger.requests--;
    reservation.quotas.pop();
  }

  evict(quota: Quota, bytes: number, reservation: Reservation): void {
    if (reservation.bytes + bytes > quota.maxBytes)
      throw new RequestError(
        'body_too_large',
        `the request needs more than ${quota.maxBytes} bytes, the limit ${quota.name}`,
      );
    this.#evictBytes(quota, bytes, reservation);
  }

  forget(reservation: Reservation): void {
    removePlaced(this.#reservations, reservation);
  }

  #evictBytes(quota: Quota, bytes: number, reservation: Reservation): void {
    while (quota.bytes + bytes > quota.maxBytes) {
      if (!this.#evictOne(quota, reservation, 'bytes', bytes))
        throw overloaded(`too many bytes in work ${quota.name}`, quota);
    }
  }

  /** Throws RequestError `overloaded` when no request of the quota is slower. */
  #evictRequest(quota: Quota, reservation: Reservation): void {
    if (!this.#evictOne(quota, reservation, 'requests', 1))
      throw overloaded(`too many requests at once ${quota.name}`, { limit: 'requests' });
  }

  /** Ends the body that is the greatest burden, unless `reservation`, which needs `more`, is a greater one. False then. */
  #evictOne(quota: Quota, reservation: Reservation, unit: Unit, more: number): boolean {
    const now = wholeNow();
    let most = reservation.burden(unit, now, more);
    let found: Reservation | null = null;
    for (const other of this.#reservations) {
      if (other === reservation || other.stop === null || !other.quotas.includes(quota)) continue;
      // It has nothing to give back.
      if (unit === 'bytes' && other.bytes === 0) continue;
      const burden = other.burden(unit, now);
      if (burden <= most) continue;
      most = burden;
      found = other;
    }
    if (found === null) return false;
    const { stop } = found;
    found.release();
    stop!(overloaded(`too much in work ${quota.name}; this body gave way to others`, quota));
    return true;
  }
}

function overloaded(detail: string, { limit }: { limit: keyof Limits }): RequestError {
  const fault = new RequestError('overloaded', detail, { 'retry-after': '1' });
  // The log shows from it whether more gateways would help, or a proxy is not listed.
  fault.cause = `gateway.limits.${limit}`;
  return fault;
}
