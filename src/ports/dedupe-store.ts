/** Characters of a claim's key: 96 bits. Among 100 million ids, one new id in 10^21 is taken for another one. */
const KEY = 16;

/** The key of a claim: the first 16 characters of a digest in base64 (not base64url) of 16 characters or more. */
export function claimKey(digest: string): string {
  return digest.slice(0, KEY);
}

/** One event id to claim. */
export interface Claim {
  /** Digest of source and id, see `claimKey`. */
  key: string;
  /** 32-bit checksum of the payload: tells a resend from another event under the same id. */
  checksum: number;
}

/**
 * `claimed`: the owner has it now, and nobody else may append the event. `duplicate`: stored before. `changed`: stored
 * before, with another payload. `pending`: another owner's claim is still in flight.
 */
export type ClaimOutcome = 'claimed' | 'duplicate' | 'changed' | 'pending';

/**
 * Remembers ids. A claim has an owner token and a short life; a confirmed id is remembered for the dedupe window.
 * `claim`, `confirm` and `release` reject with `StoreUnavailable` when the store does not answer in time. Where several
 * servers share the ids, some of the work may be done then; the error of `claim` says for which ids.
 */
export interface DedupeStore {
  /**
   * Claims ids for an owner; one outcome per claim, in order. An owner that claims an id again renews its claim
   * (`claimed`). The claims of one call must differ in key.
   */
  claim(claims: readonly Claim[], owner: string): Promise<ClaimOutcome[]>;
  /**
   * Remembers claimed ids for the window, also when their claims have run out. An id that another owner has claimed or
   * confirmed meanwhile stays with that owner; the window or the claim's life begins anew for it.
   */
  confirm(claims: readonly Claim[], owner: string): Promise<void>;
  /** Forgets claims of this owner at once; never claims of another owner, never confirmed ids. */
  release(claims: readonly Claim[], owner: string): Promise<void>;
  close(): Promise<void>;
}

/** The store gave no answer: down, frozen, out of memory, read-only. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
  /** When part of the store answered a `claim`: the outcomes in order, null where it is unknown. Null: all unknown. */
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
