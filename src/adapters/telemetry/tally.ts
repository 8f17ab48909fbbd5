import type { Verdict } from '../../core/event.ts';
import type { DeliveryOutcome } from '../../ports/report.ts';

/** Counts by a word; beyond `most` different ones all others share `other`, so that a scrape stays small. */
export class WordCounter {
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

/** Words are fixed in our code; more than this many would be a bug. */
const MAX_WORDS = 32;

/**
 * Counts of one source. They are plain numbers, which take 10 ns each. A counter of prom-client with two labels takes
 * 200 ns, as it makes a text of the labels on each call (measured on Node 24, prom-client 15).
 */
export class SourceTally {
  readonly verdicts: Record<Verdict, number> = { accepted: 0, duplicate: 0, rejected: 0, retry: 0 };
  /** By status; place 0 is for `other`. */
  readonly codes = new Float64Array(600);
  readonly signatures = new WordCounter(MAX_WORDS);
}

/** Counts of one subscription. */
export class SubscriptionTally {
  readonly outcomes: Record<DeliveryOutcome, number> = {
    delivered: 0,
    filtered: 0,
    retry: 0,
    dead_letter: 0,
  };
  readonly reasons = new WordCounter(MAX_WORDS);
  readonly replies = new WordCounter(MAX_WORDS);
  readonly remembered = new WordCounter(MAX_WORDS);
}

/** A tally for each name, and one for `unknown`. */
export function makeTallies<T>(names: readonly string[], Tally: new () => T): Map<string, T> {
  return new Map([...names, 'unknown'].map((name) => [name, new Tally()]));
}
