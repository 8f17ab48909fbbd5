import type { Rate, SourceConfig } from '../../config/source/types.ts';
import type { Digests } from '../../ports/platform.ts';
import type { Admission } from '../admission/admit.ts';
import { TokenBucket } from './token-bucket.ts';

/** Most keys and token subjects of a source whose buckets are kept. */
const MAX_KEYS = 10_000;

/** The token buckets of one source and of its keys. */
export class SourceLimits {
  /** The RateLimit-Policy field; empty when the source has no rate. */
  readonly policy: string;
  readonly #source: string;
  readonly #digests: Pick<Digests, 'digest'>;
  readonly #keyRate: Rate | null;
  readonly #shared: TokenBucket[];
  /** By key or subject: its own buckets, then those of the source. */
  readonly #byKey = new Map<string, TokenBucket[]>();

  constructor({ name, rate }: SourceConfig, digests: Pick<Digests, 'digest'>) {
    this.#source = name;
    this.#digests = digests;
    this.#keyRate = rate.key;
    this.#shared = this.#make(rate.all, '', null);
    this.policy = [...this.#make(rate.key, 'key-', ''), ...this.#shared].map(policyOf).join(', ');
  }

  /** The buckets that a sender's request spends from. */
  bucketsOf({ who }: Admission): TokenBucket[] {
    if (who === null || this.#keyRate === null) return this.#shared;
    let buckets = this.#byKey.get(who);
    if (buckets === undefined) {
      buckets = [...this.#make(this.#keyRate, 'key-', who), ...this.#shared];
      this.#byKey.set(who, buckets);
      if (this.#byKey.size > MAX_KEYS) this.#byKey.delete(this.#byKey.keys().next().value!);
    }
    return buckets;
  }

  #make(rate: Rate | null, prefix: string, who: string | null): TokenBucket[] {
    const buckets: TokenBucket[] = [];
    for (const unit of ['events', 'bytes'] as const) {
      const tokens = rate?.[unit] ?? null;
      if (tokens === null) continue;
      const name = `${prefix}${unit}`;
      const key = this.#digests.digest(`${this.#source}\n${name}\n${who ?? ''}`);
      buckets.push(new TokenBucket(name, unit, tokens, key));
    }
    return buckets;
  }
}

/** An item of RateLimit-Policy (IETF draft-ietf-httpapi-ratelimit-headers): name, quota, window in seconds, unit. */
function policyOf({ name, unit, rate }: TokenBucket): string {
  return `"${name}";q=${rate};w=1;qu="${unit === 'bytes' ? 'content-bytes' : 'events'}"`;
}
