import type { Rate, SourceConfig } from '../../config/source/types.ts';
import { RequestError } from '../../core/errors.ts';
import type { Platform } from '../../ports/platform.ts';
import type { RateStore } from '../../ports/rate-store.ts';
import type { Admission } from '../admission/admit.ts';
import type { Limiter } from './limiter.ts';
import { Meter } from './meter.ts';

export interface LimiterOptions {
  sources: Iterable<SourceConfig>;
  /** What all gateways share; null: this one is alone. */
  store: RateStore | null;
  platform: Pick<Platform, 'digest'>;
  /** Milliseconds of a monotonic clock. */
  now?: () => number;
}

/** Keys and token subjects whose meters are kept, for each source. */
const MAX_KEYS = 10_000;
/** Buckets in one call of the store. */
const MAX_ASKS = 200;
/** Milliseconds until a store that failed is asked again. */
const PAUSE = 1_000;

/** The limiter for the rates of the sources; null when none has one. */
export function makeLimiter(options: LimiterOptions): Limiter | null {
  const gauges = new Map<string, Gauge>();
  for (const source of options.sources) {
    const gauge = new Gauge(source, options.platform);
    if (gauge.policy !== '') gauges.set(source.name, gauge);
  }
  return gauges.size === 0 ? null : new RateLimiter(gauges, options);
}

/** The meters of one source. */
class Gauge {
  /** The RateLimit-Policy field. */
  readonly policy: string;
  readonly #source: string;
  readonly #platform: Pick<Platform, 'digest'>;
  readonly #key: Rate | null;
  readonly #all: Meter[];
  /** By key or subject: its own meters, then those of the source. */
  readonly #keys = new Map<string, Meter[]>();

  constructor({ name, rate }: SourceConfig, platform: Pick<Platform, 'digest'>) {
    this.#source = name;
    this.#platform = platform;
    this.#key = rate.key;
    this.#all = this.#make(rate.all, '', null);
    this.policy = [...this.#make(rate.key, 'key-', ''), ...this.#all].map(policyOf).join(', ');
  }

  meters({ who }: Admission): Meter[] {
    if (who === null || this.#key === null) return this.#all;
    let meters = this.#keys.get(who);
    if (meters === undefined) {
      meters = [...this.#make(this.#key, 'key-', who), ...this.#all];
      this.#keys.set(who, meters);
      if (this.#keys.size > MAX_KEYS) this.#keys.delete(this.#keys.keys().next().value!);
    }
    return meters;
  }

  #make(rate: Rate | null, prefix: string, who: string | null): Meter[] {
    const meters: Meter[] = [];
    for (const unit of ['events', 'bytes'] as const) {
      const most = rate?.[unit] ?? null;
      if (most === null) continue;
      const name = `${prefix}${unit}`;
      meters.push(
        new Meter(name, unit, most, this.#platform.digest(`${this.#source}\n${name}\n${who ?? ''}`)),
      );
    }
    return meters;
  }
}

/** Draft RateLimit header fields: names, quotas and windows in seconds. */
function policyOf({ name, unit, rate }: Meter): string {
  return `"${name}";q=${rate};w=1;qu="${unit === 'bytes' ? 'content-bytes' : 'events'}"`;
}

class RateLimiter implements Limiter {
  readonly #gauges: Map<string, Gauge>;
  readonly #store: RateStore | null;
  readonly #now: () => number;
  /** Without an answer of the store each gateway counts for itself. */
  #alone: boolean;
  #failed = Number.NEGATIVE_INFINITY;
  #queue: { meter: Meter; resolve: () => void }[] = [];
  #busy = false;

  constructor(
    gauges: Map<string, Gauge>,
    { store, now = performance.now.bind(performance) }: LimiterOptions,
  ) {
    this.#gauges = gauges;
    this.#store = store;
    this.#now = now;
    this.#alone = store === null;
  }

  check(admission: Admission): void {
    const meters = this.#meters(admission);
    // The answer may be here when the body is.
    if (meters !== undefined) for (const meter of this.#unknown(meters)) void this.#ask(meter);
  }

  take(admission: Admission, events: number, bytes: number): void | Promise<void> {
    const meters = this.#meters(admission);
    if (meters === undefined) return;
    const unknown = this.#unknown(meters);
    if (unknown.length === 0) this.#spend(meters, events, bytes);
    else return this.#wait(meters, unknown, events, bytes);
  }

  headers(admission: Admission): Record<string, string> {
    const gauge = this.#gauges.get(admission.door.source.name);
    if (gauge === undefined) return {};
    const now = this.#now();
    const limits = gauge.meters(admission).map((meter) => {
      if (this.#alone) meter.refill(now);
      const left = meter.wait(now) > 0 ? 0 : meter.left(now);
      return `"${meter.name}";r=${left};t=${seconds(meter.wait(now))}`;
    });
    return { 'ratelimit-policy': gauge.policy, ratelimit: limits.join(', ') };
  }

  #meters(admission: Admission): Meter[] | undefined {
    return this.#gauges.get(admission.door.source.name)?.meters(admission);
  }

  /** Meters that the store has to be asked about. Throws RequestError `rate_limited` when one is known to be empty. */
  #unknown(meters: Meter[]): Meter[] {
    const now = this.#now();
    let unknown: Meter[] = NONE;
    for (const meter of meters) {
      if (this.#alone) {
        meter.refill(now);
        if (this.#store !== null && now - this.#failed >= PAUSE) void this.#ask(meter);
      }
      if (meter.open) continue;
      if (this.#alone || meter.wait(now) > 0) throw limited(meter, now);
      unknown = [...unknown, meter];
    }
    return unknown;
  }

  async #wait(meters: Meter[], unknown: Meter[], events: number, bytes: number): Promise<void> {
    // Each answer opens the meter, or closes it for a while; what it gave may be spent when our turn comes.
    for (let asked = unknown; asked.length > 0; asked = this.#unknown(meters)) {
      await Promise.all(asked.map((meter) => this.#ask(meter)));
    }
    this.#spend(meters, events, bytes);
  }

  #spend(meters: Meter[], events: number, bytes: number): void {
    const now = this.#now();
    for (const meter of meters) {
      meter.spend(meter.unit === 'events' ? events : bytes);
      if (!this.#alone && meter.low && meter.wait(now) === 0) void this.#ask(meter);
    }
  }

  /** Resolves when the store has answered, or failed to. */
  #ask(meter: Meter): Promise<void> {
    if (meter.asking === null) {
      meter.asking = new Promise((resolve) => {
        this.#queue.push({ meter, resolve });
      });
      void this.#flush();
    }
    return meter.asking;
  }

  /** One call at a time: what is asked meanwhile goes into the next one. */
  async #flush(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    await null;
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, MAX_ASKS);
      const asks = batch.map(({ meter }) => meter.ask());
      try {
        const grants = await this.#store!.take(asks);
        const now = this.#now();
        batch.forEach(({ meter }, i) => meter.receive(asks[i]!, grants[i]!, now));
        this.#alone = false;
      } catch {
        // The store tells of its outages itself.
        this.#alone = true;
        this.#failed = this.#now();
      }
      for (const { meter, resolve } of batch) {
        meter.asking = null;
        resolve();
      }
    }
    this.#busy = false;
  }
}

const NONE: Meter[] = [];

function limited(meter: Meter, now: number): RequestError {
  const whose = meter.name.startsWith('key-') ? 'this key' : 'this source';
  const detail = `more than the ${meter.rate} ${meter.unit} a second of ${whose}`;
  return new RequestError('rate_limited', detail, { 'retry-after': String(seconds(meter.wait(now))) });
}

/** Whole seconds, at least 1. */
function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
