import { retryWait } from '../function/retry.ts';
import type { Appender, AppendVerdict, LogRecord } from '../ports/event-log.ts';
import { Idle } from './idle.ts';
import { Queue } from './queue.ts';

/** The outcome of a record. `dropped`: it was given up before it was stored. */
export type WriteOutcome = 'stored' | 'too_large' | 'dropped';

export interface OutboxOptions {
  log: Appender;
  /** From 0 to below 1. */
  random: () => number;
  /** Called after each append, with the number of its records that had this verdict. */
  tried?(verdict: AppendVerdict, records: number): void;
}

/** Records that were given together. */
interface Unit {
  /** The topic may take a record later that is too large now. */
  isKept: boolean;
  outcomes: WriteOutcome[];
  /** Records without an outcome. */
  left: number;
  resolve(outcomes: WriteOutcome[]): void;
}

interface Pending {
  record: LogRecord;
  unit: Unit;
  /** Its place in the unit. */
  place: number;
}

/** Records, and bytes of values, in one append. A unit is never split. */
const MAX_RECORDS = 200;
const MAX_BYTES = 4 * 1024 * 1024;
const RETRY = { attempts: Number.POSITIVE_INFINITY, min: 200, max: 5_000 };

/**
 * Appends records, however long it takes. Records that come during an append share the next one. Records that could not
 * be stored are appended again after a wait, and meanwhile keep no others back: perhaps only their partition is down.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #queue = new Queue<Pending>();
  /** Records that wait to be appended again. */
  #late: Pending[] = [];
  #timer: NodeJS.Timeout | null = null;
  #failures = 0;
  #isWriting = false;
  #isClosed = false;
  #isDropped = false;
  #problem: string | null = null;
  readonly #idle = new Idle(() => !this.#isWriting && this.#late.length === 0);

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Why records cannot be stored, or null. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Does not reject. `isKept`: a record that is too large is tried again, as one that could not be stored. */
  append(record: LogRecord, isKept = false): Promise<WriteOutcome> {
    return new Promise((resolve) => this.#push([record], isKept, (outcomes) => resolve(outcomes[0]!)));
  }

  /** Appends several records together. Resolves with an outcome for each when all have one. Does not reject. */
  appendAll(records: readonly LogRecord[]): Promise<WriteOutcome[]> {
    if (records.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => this.#push(records, false, resolve));
  }

  /** Resolves when no record waits, and all who gave one have seen its outcome. */
  idle(): Promise<void> {
    return this.#idle.wait();
  }

  /** From now on each record has one try. Those that failed before are dropped. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const pending of this.#late) conclude(pending, 'dropped');
    this.#late = [];
  }

  /** Drops all records, also those that come later. An append in flight may end, and its records count. */
  drop(): void {
    this.#isDropped = true;
    this.close();
    for (const pending of this.#queue) conclude(pending, 'dropped');
    this.#queue.clear();
  }

  #push(records: readonly LogRecord[], isKept: boolean, resolve: Unit['resolve']): void {
    const unit: Unit = { isKept, outcomes: [], left: records.length, resolve };
    records.forEach((record, place) => {
      if (this.#isDropped) conclude({ record, unit, place }, 'dropped');
      else this.#queue.push({ record, unit, place });
    });
    if (!this.#isWriting && !this.#isDropped) void this.#write();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    while (this.#queue.length > 0) {
      const all = this.#take();
      this.#conclude(all, await this.#append(all));
    }
    this.#isWriting = false;
    // By then those who saw an outcome have given the records that follow from it.
    setImmediate(this.#idle.changed);
  }

  #take(): Pending[] {
    const all: Pending[] = [];
    let bytes = 0;
    while (this.#queue.length > 0) {
      const next = this.#queue.at(0);
      if ((all.length >= MAX_RECORDS || bytes >= MAX_BYTES) && next.unit !== all.at(-1)!.unit) break;
      bytes += next.record.value?.length ?? 0;
      all.push(this.#queue.shift()!);
    }
    return all;
  }

  async #append(all: Pending[]): Promise<AppendVerdict[]> {
    try {
      return await this.#options.log.append(all.map(({ record }) => record));
    } catch {
      return all.map(() => 'failed');
    }
  }

  #conclude(all: Pending[], verdicts: AppendVerdict[]): void {
    const counts = { stored: 0, too_large: 0, failed: 0 };
    all.forEach((pending, i) => {
      const verdict = verdicts[i] === 'too_large' && pending.unit.isKept ? 'failed' : verdicts[i]!;
      counts[verdict]++;
      if (verdict !== 'failed') conclude(pending, verdict);
      else if (this.#isClosed) conclude(pending, 'dropped');
      else this.#late.push(pending);
    });
    if (this.#late.length === 0) {
      this.#failures = 0;
      this.#problem = null;
    } else if (this.#timer === null) {
      this.#problem = `records cannot be stored in ${this.#late[0]!.record.topic}`;
      const wait = retryWait(++this.#failures, RETRY, null, this.#options.random);
      this.#timer = setTimeout(this.#again, wait);
    }
    for (const verdict of ['stored', 'too_large', 'failed'] as const)
      if (counts[verdict] > 0) this.#options.tried?.(verdict, counts[verdict]);
  }

  readonly #again = (): void => {
    this.#timer = null;
    for (const pending of this.#late) this.#queue.push(pending);
    this.#late = [];
    if (!this.#isWriting) void this.#write();
  };
}

function conclude({ unit, place }: Pending, outcome: WriteOutcome): void {
  unit.outcomes[place] = outcome;
  if (--unit.left === 0) unit.resolve(unit.outcomes);
}
