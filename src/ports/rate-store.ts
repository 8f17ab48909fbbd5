/** The tokens that a gateway asks of one bucket. */
export interface TokenAsk {
  /** Names the bucket: a digest of fixed size. */
  key: string;
  /** Tokens a second; also the most tokens that the bucket holds. */
  rate: number;
  /** Tokens that were spent before they were granted; they are taken even if the bucket is empty. */
  owed: number;
  /** Tokens to spend later; as many are granted as there are. */
  want: number;
}

export interface TokenGrant {
  granted: number;
  /** Tokens that are left; below 0 when the gateways owe more than the bucket had. */
  left: number;
  /** Milliseconds until there is a token again; 0 when all wanted tokens were granted. */
  wait: number;
}

/** Token buckets that several gateways share. A new bucket is full. */
export interface RateStore {
  /** One grant per ask, in order, in one step. Rejects with `StoreUnavailable` when no answer comes in time. */
  take(asks: readonly TokenAsk[]): Promise<TokenGrant[]>;
  close(): Promise<void>;
}
