import { Queue } from '../consume/queue.ts';
import { retryWait } from '../function/retry.ts';
import type { Appender, AppendVerdict, LogRecord } from '../ports/event-log.ts';

/** The outcome of a record: `dropped` when it was given up before it was stored. */
export type WriteOutcome = 'stored' | 'too_large' | 'dropped';

interface Pending {
  record: LogRecord;
  resolve(written: WriteOutcome): void;
}

/** Records, and bytes of values, in one append. */
const MAX_RECORDS = 200;
const MAX_BYTES = 4 * 1024 * 1024;
const RETRY = { attempts: Number.POSITIVE_INFINITY, min: 200, max: 5_000 };

/** Appends records, however long it takes. Records that come during an append share the next one. */
export class Journal {
  readonly #log: Appender;
  readonly #random: () => number;
  readonly #changed: () => void;
  readonly #queue = new Queue<Pending>();
  #writing = false;
  #timer: NodeJS.Timeout | null = null;
  #failures = 0;
  #closed = false;
  #error: string | null = null;

  /** `changed` is called when no append is in flight any more. */
  constructor(log: Appender, random: () => number, changed: () => void) {
    this.#log = log;
    this.#random = random;
    this.#changed = changed;
  }

  get isIdle(): boolean {
    return !this.#writing && this.#queue.length === 0;
  }

  /** Why records cannot be stored, or null. */
  get problem(): string | null {
    return this.#error;
  }

  append(record: LogRecord): Promise<WriteOutcome> {
    if (this.#closed) return Promise.resolve('dropped');
    return new Promise((resolve) => {
      this.#queue.push({ record, resolve });
      if (!this.#writing && this.#timer === null) void this.#write();
    });
  }

  /** Gives up the records that are not stored yet. */
  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const { resolve } of this.#queue) resolve('dropped');
    this.#queue.clear();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    this.#timer = null;
    while (this.#queue.length > 0 && this.#timer === null) {
      const all = this.#take();
      this.#conclude(all, await this.#append(all));
    }
    this.#writing = false;
    this.#changed();
  }

  #take(): Pending[] {
    const all: Pending[] = [];
    let bytes = 0;
    while (this.#queue.length > 0 && all.length < MAX_RECORDS && bytes < MAX_BYTES) {
      const next = this.#queue.shift()!;
      bytes += next.record.value?.length ?? 0;
      all.push(next);
    }
    return all;
  }

  async #append(all: Pending[]): Promise<AppendVerdict[]> {
    try {
      return await this.#log.append(all.map(({ record }) => record));
    } catch {
      return all.map(() => 'failed');
    }
  }

  #conclude(all: Pending[], verdicts: AppendVerdict[]): void {
    let failed = 0;
    all.forEach((pending, i) => {
      const verdict = verdicts[i]!;
      if (verdict !== 'failed') pending.resolve(verdict);
      else if (this.#closed) pending.resolve('dropped');
      else {
        failed++;
        this.#queue.push(pending);
      }
    });
    if (failed === 0) {
      this.#failures = 0;
      this.#error = null;
    } else {
      this.#error = `records cannot be stored in ${all[0]!.record.topic}`;
      const wait = retryWait(++this.#failures, RETRY, null, this.#random);
      this.#timer = setTimeout(() => void this.#write(), wait);
    }
  }
}
