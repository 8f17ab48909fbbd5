/** What a gateway asks of one bucket of tokens. */
export interface TokenAsk {
  /** Fixed-size digest that names the bucket. */
  key: string;
  /** Tokens a second, and the most that gather. */
  rate: number;
  /** Tokens that were spent without having been had; they are taken even if the bucket is empty. */
  owed: number;
  /** Tokens to be spent later; as many are given as there are. */
  want: number;
}

export interface TokenGrant {
  granted: number;
  /** Tokens that are left; below 0 when more is owed than has come in. */
  left: number;
  /** Milliseconds until there is a token again; 0 when all that was wanted was given. */
  wait: number;
}

/** Buckets that several gateways share. A bucket that was never asked for is full. */
export interface RateStore {
  /** One grant per ask, in order, all in one step. Rejects with `StoreUnavailable` when the store does not answer in time. */
  take(asks: readonly TokenAsk[]): Promise<TokenGrant[]>;
  close(): Promise<void>;
}
