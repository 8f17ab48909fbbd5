/** Characters of a claim's key: 96 bits, so that among 100 million ids one in 10^21 new ones is taken for another. */
const KEY = 16;

/** The key of a claim: the first 16 of the base64 characters (not base64url) of a digest, which may be cut short. */
export function claimKey(digest: string): string {
  return digest.slice(0, KEY);
}

/** One event id to be claimed. */
export interface Claim {
  /** Digest of source and id, see `claimKey`. */
  key: string;
  /** 32-bit checksum of the payload: tells a resend from another event under the same id. */
  print: number;
}

/**
 * `claimed`: ours now, nobody else may append it. `duplicate`: stored before. `changed`: stored before,
 * with another payload. `pending`: somebody else's claim is still in flight.
 */
export type ClaimOutcome = 'claimed' | 'duplicate' | 'changed' | 'pending';

/**
 * Remembers ids. A claim has an owner token and a short life; a confirmed id is remembered for the
 * dedupe window. All methods reject with `StoreUnavailable` when the store does not answer in time; where
 * ids are spread over several servers it may have been done for some of them, and a claim says for which.
 */
export interface DedupeStore {
  /**
   * Claims ids for an owner; one outcome per claim, in order. Claiming again what the
   * same owner holds renews it (`claimed`). The claims of one call must differ in key.
   */
  claim(claims: readonly Claim[], owner: string): Promise<ClaimOutcome[]>;
  /**
   * Claim -> remembered for the window. An id that somebody else has claimed or confirmed meanwhile stays
   * theirs, if for as long as if it were new; one whose claim has run out is remembered all the same.
   */
  confirm(claims: readonly Claim[], owner: string): Promise<void>;
  /** Forgets claims of this owner at once; never those of another, never confirmed ids. */
  release(claims: readonly Claim[], owner: string): Promise<void>;
  close(): Promise<void>;
}

/** The store gave no answer: down, frozen, out of memory, read-only. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
  /** Of a claim that part of the store answered: what is known, null for the others. Null when nothing is. */
  readonly outcomes: readonly (ClaimOutcome | null)[] | null;

  constructor(
    message?: string,
    options?: ErrorOptions,
    outcomes: readonly (ClaimOutcome | null)[] | null = null,
  ) {
    super(message, options);
    this.outcomes = outcomes;
  }
}
