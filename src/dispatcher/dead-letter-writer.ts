import { Queue } from '../consume/queue.ts';
import { retryWait } from '../function/retry.ts';
import type { Appender, AppendVerdict } from '../ports/event-log.ts';
import { type DeadLetter, deadLetterRecord } from './dead-letter-record.ts';

export interface DeadLetterWriterOptions {
  log: Appender;
  subscription: string;
  topic: string;
  random: () => number;
  /** The letter is stored. */
  stored(letter: DeadLetter): void;
  /** So many letters could not be stored, and are tried again later. */
  failed(letters: number): void;
  /** `writing` has become false. */
  idle(): void;
}

/** Letters in one append. */
const MAX_LETTERS = 100;
const RETRY = { attempts: Number.POSITIVE_INFINITY, min: 500, max: 30_000 };

/** Stores dead letters, however long it takes: until then an event is in no topic but its own, and is not committed. */
export class DeadLetterWriter {
  readonly #options: DeadLetterWriterOptions;
  readonly #queue = new Queue<DeadLetter>();
  #writing = false;
  #stopped = false;
  #failures = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: DeadLetterWriterOptions) {
    this.#options = options;
  }

  /** True while an append is in flight; false while it waits for the next one. */
  get writing(): boolean {
    return this.#writing;
  }

  get letters(): Iterable<DeadLetter> {
    return this.#queue;
  }

  add(letter: DeadLetter): void {
    this.#queue.push(letter);
    if (!this.#writing && this.#timer === null) void this.#write();
  }

  /** Forgets the letters that are not stored yet. */
  stop(): void {
    this.#stopped = true;
    this.#queue.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #write(): Promise<void> {
    this.#writing = true;
    this.#timer = null;
    while (this.#queue.length > 0 && !this.#stopped) {
      // They stay in the queue during the append, so that they count as held.
      const letters = Array.from({ length: Math.min(MAX_LETTERS, this.#queue.length) }, (_, i) =>
        this.#queue.at(i),
      );
      const verdicts = await this.#append(letters);
      if (this.#stopped) break;
      for (const _ of letters) this.#queue.shift();
      if (this.#conclude(letters, verdicts)) {
        const wait = retryWait(++this.#failures, RETRY, null, this.#options.random);
        this.#timer = setTimeout(() => void this.#write(), wait);
        break;
      }
      this.#failures = 0;
    }
    this.#writing = false;
    this.#options.idle();
  }

  async #append(letters: DeadLetter[]): Promise<AppendVerdict[]> {
    const { log, topic, subscription } = this.#options;
    try {
      return await log.append(letters.map((letter) => deadLetterRecord(letter, topic, subscription)));
    } catch {
      return letters.map(() => 'failed');
    }
  }

  /** True when some letters could not be stored. */
  #conclude(letters: DeadLetter[], verdicts: AppendVerdict[]): boolean {
    let failed = 0;
    letters.forEach((letter, i) => {
      if (verdicts[i] === 'stored') return this.#options.stored(letter);
      if (verdicts[i] === 'too_large' && letter.cut < 2) letter.cut++;
      else failed++;
      this.#queue.push(letter);
    });
    if (failed > 0) this.#options.failed(failed);
    return failed > 0;
  }
}
