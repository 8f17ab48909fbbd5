import type { SourceConfig } from '../../config/source/types.ts';
import { RequestError } from '../../core/errors.ts';
import type { Digests } from '../../ports/platform.ts';
import type { RateStore } from '../../ports/rate-store.ts';
import type { Admission } from '../admission/admit.ts';
import type { Limiter } from './limiter.ts';
import { SourceLimits } from './source-limits.ts';
import type { TokenBucket } from './token-bucket.ts';

export interface LimiterOptions {
  sources: Iterable<SourceConfig>;
  /** The store that all gateways share; null: this gateway counts alone. */
  store: RateStore | null;
  digests: Pick<Digests, 'digest'>;
  /** Milliseconds of a monotonic clock. */
  now?: () => number;
}

/** Most buckets in one call of the store. */
const MAX_ASKS = 200;
/** Milliseconds until a store that failed is asked again. */
const RETRY_MS = 1_000;

/** The limiter for the rates of the sources; null when none has a rate. */
export function makeLimiter(options: LimiterOptions): Limiter | null {
  const limits = new Map<string, SourceLimits>();
  for (const source of options.sources) {
    const one = new SourceLimits(source, options.digests);
    if (one.policy !== '') limits.set(source.name, one);
  }
  return limits.size === 0 ? null : new RateLimiter(limits, options);
}

class RateLimiter implements Limiter {
  readonly #limits: Map<string, SourceLimits>;
  readonly #store: RateStore | null;
  readonly #now: () => number;
  /** True while this gateway counts for itself: it has no store, or the store does not answer. */
  #alone: boolean;
  #failedAt = Number.NEGATIVE_INFINITY;
  #queue: { bucket: TokenBucket; resolve: () => void }[] = [];
  #busy = false;

  constructor(
    limits: Map<string, SourceLimits>,
    { store, now = performance.now.bind(performance) }: LimiterOptions,
  ) {
    this.#limits = limits;
    this.#store = store;
    this.#now = now;
    this.#alone = store === null;
  }

  check(admission: Admission): void {
    const buckets = this.#bucketsOf(admission);
    // The store may answer while the body arrives.
    if (buckets !== undefined) for (const bucket of this.#unfunded(buckets)) void this.#ask(bucket);
  }

  take(admission: Admission, events: number, bytes: number): void | Promise<void> {
    const buckets = this.#bucketsOf(admission);
    if (buckets === undefined) return;
    const unfunded = this.#unfunded(buckets);
    if (unfunded.length === 0) this.#spend(buckets, events, bytes);
    else return this.#wait(buckets, unfunded, events, bytes);
  }

  headers(admission: Admission): Record<string, string> {
    const limits = this.#limits.get(admission.guarded.source.name);
    if (limits === undefined) return {};
    const now = this.#now();
    const items = limits.bucketsOf(admission).map((bucket) => {
      if (this.#alone) bucket.refill(now);
      const wait = bucket.wait(now);
      return `"${bucket.name}";r=${wait > 0 ? 0 : bucket.left(now)};t=${seconds(wait)}`;
    });
    return { 'ratelimit-policy': limits.policy, ratelimit: items.join(', ') };
  }

  #bucketsOf(admission: Admission): TokenBucket[] | undefined {
    return this.#limits.get(admission.guarded.source.name)?.bucketsOf(admission);
  }

  /** Buckets that need tokens of the store first. Throws RequestError `rate_limited` when one is known to be empty. */
  #unfunded(buckets: TokenBucket[]): TokenBucket[] {
    const now = this.#now();
    let unfunded: TokenBucket[] = NONE;
    for (const bucket of buckets) {
      if (this.#alone) {
        bucket.refill(now);
        if (this.#store !== null && now - this.#failedAt >= RETRY_MS) void this.#ask(bucket);
      }
      if (bucket.open) continue;
      if (this.#alone || bucket.wait(now) > 0) throw rateLimited(bucket, now);
      unfunded = [...unfunded, bucket];
    }
    return unfunded;
  }

  async #wait(buckets: TokenBucket[], unfunded: TokenBucket[], events: number, bytes: number): Promise<void> {
    // Each answer opens the bucket or empties it for a while. Other requests may have spent the grant meanwhile.
    for (let asked = unfunded; asked.length > 0; asked = this.#unfunded(buckets)) {
      await Promise.all(asked.map((bucket) => this.#ask(bucket)));
    }
    this.#spend(buckets, events, bytes);
  }

  #spend(buckets: TokenBucket[], events: number, bytes: number): void {
    const now = this.#now();
    for (const bucket of buckets) {
      bucket.spend(bucket.unit === 'events' ? events : bytes);
      if (!this.#alone && bucket.low && bucket.wait(now) === 0) void this.#ask(bucket);
    }
  }

  /** Resolves when the store has answered, or failed to. */
  #ask(bucket: TokenBucket): Promise<void> {
    if (bucket.asking === null) {
      bucket.asking = new Promise((resolve) => {
        this.#queue.push({ bucket, resolve });
      });
      void this.#flush();
    }
    return bucket.asking;
  }

  /** Calls the store, one call at a time. Asks that arrive during a call go into the next one. */
  async #flush(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    await null;
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, MAX_ASKS);
      const asks = batch.map(({ bucket }) => bucket.ask());
      try {
        const grants = await this.#store!.take(asks);
        const now = this.#now();
        batch.forEach(({ bucket }, i) => bucket.receive(asks[i]!, grants[i]!, now));
        this.#alone = false;
      } catch {
        // The store reports its outages itself.
        this.#alone = true;
        this.#failedAt = this.#now();
      }
      for (const { bucket, resolve } of batch) {
        bucket.asking = null;
        resolve();
      }
    }
    this.#busy = false;
  }
}

/** Shared, so that a request that need not wait allocates nothing. */
const NONE: TokenBucket[] = [];

function rateLimited(bucket: TokenBucket, now: number): RequestError {
  const whose = bucket.name.startsWith('key-') ? 'this key' : 'this source';
  const detail = `${whose} takes at most ${bucket.rate} ${bucket.unit} a second`;
  return new RequestError('rate_limited', detail, { 'retry-after': String(seconds(bucket.wait(now))) });
}

/** Whole seconds, at least 1. */
function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
