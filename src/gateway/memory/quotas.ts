import type { Limits } from '../../config/gateway/types.ts';

/** How much of something there may be at once, and how much there is. */
export interface Quota {
  /** What errors call it. */
  readonly name: string;
  /** The limit of the config that `maxBytes` is. */
  readonly limit: keyof Limits;
  readonly maxBytes: number;
  readonly maxRequests: number;
  bytes: number;
  requests: number;
}

/** Part of the request slots that one address may have. */
const ADDRESS_REQUESTS = 0.25;
/** Part of the request slots for all requests that are not let in yet. */
const STRANGERS_REQUESTS = 0.5;
/** Part of the request slots that one source may have. */
const SOURCE_REQUESTS = 0.75;
/** Addresses that are remembered though they have no request: to forget each at once costs more. */
const IDLE_ADDRESSES = 4096;

/** The quotas of all requests, of those that are not let in yet, of each source, and of each client address. */
export class Quotas {
  readonly all: Quota;
  readonly #limits: Limits;
  readonly #strangers: Quota;
  readonly #sources = new Map<string, Quota>();
  readonly #addresses = new Map<string, Quota>();
  /** The same before requests are let in: a body whose signature is being checked gives way to nobody. */
  readonly #strangeAddresses = new Map<string, Quota>();

  constructor(limits: Limits) {
    this.#limits = limits;
    const { buffered, requests, unauthenticated } = limits;
    this.all = makeQuota('of this gateway', 'buffered', buffered, requests);
    this.#strangers = makeQuota(
      'of senders that are not let in yet',
      'unauthenticated',
      unauthenticated,
      requests * STRANGERS_REQUESTS,
    );
  }

  /** The quota of one source, or with null of all requests that are not let in yet. */
  ofSource(source: string | null): Quota {
    if (source === null) return this.#strangers;
    let quota = this.#sources.get(source);
    if (quota === undefined) {
      const { perSource, requests } = this.#limits;
      quota = makeQuota('of this source', 'perSource', perSource, requests * SOURCE_REQUESTS);
      this.#sources.set(source, quota);
    }
    return quota;
  }

  ofAddress(address: string): Quota {
    const known = this.#addresses.get(address);
    if (known !== undefined) return known;
    const { perAddress, requests } = this.#limits;
    const quota = makeQuota('of this address', 'perAddress', perAddress, requests * ADDRESS_REQUESTS);
    remember(this.#addresses, address, quota);
    return quota;
  }

  /** The quota of one address for requests that are not let in yet: half of the quota of them all. */
  ofStranger(address: string): Quota {
    const known = this.#strangeAddresses.get(address);
    if (known !== undefined) return known;
    const { unauthenticated, body, requests } = this.#limits;
    const maxBytes = Math.max(unauthenticated / 2, Math.min(body, unauthenticated));
    const name = 'of this address before it is let in';
    const quota = makeQuota(name, 'unauthenticated', maxBytes, requests * ADDRESS_REQUESTS);
    remember(this.#strangeAddresses, address, quota);
    return quota;
  }
}

function remember(quotas: Map<string, Quota>, address: string, quota: Quota): void {
  if (quotas.size >= IDLE_ADDRESSES)
    for (const [idle, { requests }] of quotas) if (requests === 0) quotas.delete(idle);
  quotas.set(address, quota);
}

function makeQuota(name: string, limit: keyof Limits, maxBytes: number, maxRequests: number): Quota {
  return { name, limit, maxBytes, maxRequests: Math.ceil(maxRequests), bytes: 0, requests: 0 };
}
