import type { Metric } from 'prom-client';
import type { Verdict } from '../../core/event.ts';
import type { DeliveryOutcome } from '../../ports/report.ts';

/** Plain numbers that the hot path counts in; they are handed to prom-client only when somebody scrapes. */

export class Histogram {
  readonly bounds: readonly number[];
  /** Observations per bucket; the last one is that beyond all bounds. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.sum += value;
  }
}

/** Counts by a word; beyond `most` different ones all others share `other`, so that a scrape stays small. */
class WordCounter {
  readonly counts = new Map<string, number>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  add(word: string, count: number): void {
    const known = this.counts.get(word);
    if (known !== undefined) this.counts.set(word, known + count);
    else if (this.counts.size < this.#most) this.counts.set(word, count);
    else this.counts.set('other', (this.counts.get('other') ?? 0) + count);
  }
}

/** Reasons are fixed words in our code; more than this many would be a bug. */
const MAX_REASONS = 32;

/** Of one source. */
export class SourceTally {
  readonly verdicts: Record<Verdict, number> = { accepted: 0, duplicate: 0, rejected: 0, retry: 0 };
  /** By status; place 0 is for `other`. */
  readonly codes = new Float64Array(600);
  readonly signatures = new WordCounter(MAX_REASONS);
}

/** Of one subscription. */
export class SubscriptionTally {
  readonly outcomes: Record<DeliveryOutcome, number> = {
    delivered: 0,
    filtered: 0,
    retry: 0,
    dead_letter: 0,
  };
  readonly reasons = new WordCounter(MAX_REASONS);
  readonly replies = new WordCounter(MAX_REASONS);
  readonly remembered = new WordCounter(MAX_REASONS);
}

/** One for each name. */
export function tallies<T>(names: string[], Tally: new () => T): Map<string, T> {
  return new Map(names.map((name) => [name, new Tally()]));
}

/** A metric of prom-client over our own buckets: its Histogram cannot be given counts. */
export function collectable(name: string, help: string, tally: Histogram): Metric {
  const { bounds, counts } = tally;
  const get = async () => {
    let below = 0;
    const values: { metricName: string; labels: Record<string, string | number>; value: number }[] = [];
    for (const [index, count] of counts.entries()) {
      below += count;
      values.push({ metricName: `${name}_bucket`, labels: { le: bounds[index] ?? '+Inf' }, value: below });
    }
    values.push({ metricName: `${name}_sum`, labels: {}, value: tally.sum });
    values.push({ metricName: `${name}_count`, labels: {}, value: below });
    return { name, help, type: 'histogram', values, aggregator: 'sum' };
  };
  return { name, help, get, reset: () => {} } as unknown as Metric;
}
