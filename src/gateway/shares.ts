import type { Limits } from '../config/gateway/types.ts';

/** A part of the room, with what is taken of it. */
export interface Share {
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
/** Part of the request slots that all who are not let in yet may have. */
const STRANGERS_REQUESTS = 0.5;
/** Part of the request slots that one source may have. */
const SOURCE_REQUESTS = 0.75;
/** Addresses that are remembered though they have no request: to forget each at once costs more. */
const IDLE_ADDRESSES = 4096;

/** The parts of the room: of all, of who is not let in yet, of each source and of each client address. */
export class Shares {
  readonly all: Share;
  readonly #limits: Limits;
  readonly #strangers: Share;
  readonly #sources = new Map<string, Share>();
  readonly #addresses = new Map<string, Share>();
  /** The same of who is not let in yet: a body whose signature is being checked gives way to nobody. */
  readonly #strangeAddresses = new Map<string, Share>();

  constructor(limits: Limits) {
    this.#limits = limits;
    const { buffered, requests, unauthenticated } = limits;
    this.all = makeShare('of this gateway', 'buffered', buffered, requests);
    this.#strangers = makeShare(
      'of senders that are not let in yet',
      'unauthenticated',
      unauthenticated,
      requests * STRANGERS_REQUESTS,
    );
  }

  /** Of one source; null: of all who are not let in yet. */
  ofSource(source: string | null): Share {
    if (source === null) return this.#strangers;
    let share = this.#sources.get(source);
    if (share === undefined) {
      const { perSource, requests } = this.#limits;
      share = makeShare('of this source', 'perSource', perSource, requests * SOURCE_REQUESTS);
      this.#sources.set(source, share);
    }
    return share;
  }

  ofAddress(address: string): Share {
    const known = this.#addresses.get(address);
    if (known !== undefined) return known;
    const { perAddress, requests } = this.#limits;
    const share = makeShare('of this address', 'perAddress', perAddress, requests * ADDRESS_REQUESTS);
    remember(this.#addresses, address, share);
    return share;
  }

  /** Of what those who are not let in yet may have, half for one address. */
  ofStranger(address: string): Share {
    const known = this.#strangeAddresses.get(address);
    if (known !== undefined) return known;
    const { unauthenticated, body, requests } = this.#limits;
    const maxBytes = Math.max(unauthenticated / 2, Math.min(body, unauthenticated));
    const name = 'of this address before it is let in';
    const share = makeShare(name, 'unauthenticated', maxBytes, requests * ADDRESS_REQUESTS);
    remember(this.#strangeAddresses, address, share);
    return share;
  }
}

function remember(shares: Map<string, Share>, address: string, share: Share): void {
  if (shares.size >= IDLE_ADDRESSES)
    for (const [idle, { requests }] of shares) if (requests === 0) shares.delete(idle);
  shares.set(address, share);
}

function makeShare(name: string, limit: keyof Limits, maxBytes: number, maxRequests: number): Share {
  return { name, limit, maxBytes, maxRequests: Math.ceil(maxRequests), bytes: 0, requests: 0 };
}
