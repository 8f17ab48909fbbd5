import { Queue } from '../consume/queue.ts';
import type { FunctionReply } from '../function/answer.ts';
import { BadReply } from '../function/reply.ts';
import { replyRecords, TooManyHops } from '../function/reply-record.ts';
import { retryWait } from '../function/retry.ts';
import type { Appender, AppendVerdict, LogRecord, StoredRecord } from '../ports/event-log.ts';
import type { ReplyOutcome, Report } from '../ports/report.ts';

/** Why a function's reply did not become events in a topic. It replaces the fault of the call's answer. */
interface ReplyFault {
  fault: 'bad_reply' | 'too_large' | 'too_many_hops' | 'aborted';
  detail: string;
}

export interface RepliesOptions {
  log: Appender;
  subscription: string;
  topic: string;
  report: Report;
  random: () => number;
}

/** A reply of which some records are not stored yet. */
interface Publication {
  /** Records that are not stored yet. */
  left: number;
  fault: ReplyFault | null;
  resolve(fault: ReplyFault | null): void;
}

interface Pending {
  record: LogRecord;
  publication: Publication;
}

/** Records in one append. */
const MAX_RECORDS = 100;
const RETRY = { attempts: Number.POSITIVE_INFINITY, min: 200, max: 5_000 };
const ABORTED: ReplyFault = { fault: 'aborted', detail: 'given up before the reply was stored' };

/**
 * Appends the events of replies to their topic. Replies that come during an append share the next one. A reply that
 * cannot be stored is appended again, and the function is not called again for it: it has done its work.
 */
export class Replies {
  readonly #options: RepliesOptions;
  readonly #queue = new Queue<Pending>();
  /** Records that could not be stored, and wait to be appended again. */
  #late: Pending[] = [];
  #timer: NodeJS.Timeout | null = null;
  #failures = 0;
  #writing = false;
  #closed = false;

  constructor(options: RepliesOptions) {
    this.#options = options;
  }

  /**
   * Stores the events of the reply to these records, however long it takes. Resolves with null when all are stored, or
   * there are none; else with the fault, `aborted` when it was closed before. Does not reject.
   */
  publish(records: readonly StoredRecord[], reply: FunctionReply): Promise<ReplyFault | null> {
    let made: LogRecord[];
    try {
      made = replyRecords(records, reply, this.#options.topic);
    } catch (error) {
      const fault = faultOf(error as Error);
      this.#report(fault.fault, 1);
      return Promise.resolve(fault);
    }
    if (made.length === 0) return Promise.resolve(null);
    return new Promise((resolve) => {
      const publication: Publication = { left: made.length, fault: null, resolve };
      for (const record of made) this.#queue.push({ record, publication });
      if (!this.#writing) void this.#write();
    });
  }

  /** Gives up the records that wait; an append in flight may end. */
  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const pending of this.#late) settle(pending, ABORTED);
    this.#late = [];
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#queue.length > 0) {
      const length = Math.min(MAX_RECORDS, this.#queue.length);
      const all = Array.from({ length }, () => this.#queue.shift()!);
      this.#conclude(all, await this.#append(all));
    }
    this.#writing = false;
  }

  async #append(all: Pending[]): Promise<AppendVerdict[]> {
    try {
      return await this.#options.log.append(all.map(({ record }) => record));
    } catch {
      return all.map(() => 'failed');
    }
  }

  #conclude(all: Pending[], verdicts: AppendVerdict[]): void {
    let stored = 0;
    let failed = 0;
    let large = 0;
    all.forEach((pending, i) => {
      const verdict = verdicts[i];
      if (verdict === 'stored') {
        stored++;
        settle(pending, null);
      } else if (verdict === 'too_large') {
        large++;
        settle(pending, { fault: 'too_large', detail: tooLarge(pending.record) });
      } else {
        failed++;
        if (this.#closed) settle(pending, ABORTED);
        else this.#late.push(pending);
      }
    });
    this.#report('stored', stored);
    this.#report('too_large', large);
    this.#report('failed', failed);
    if (failed === 0) this.#failures = 0;
    else if (!this.#closed) {
      const wait = retryWait(++this.#failures, RETRY, null, this.#options.random);
      this.#timer ??= setTimeout(this.#again, wait);
    }
  }

  readonly #again = (): void => {
    this.#timer = null;
    for (const pending of this.#late) this.#queue.push(pending);
    this.#late = [];
    if (!this.#writing) void this.#write();
  };

  #report(outcome: ReplyOutcome, events: number): void {
    if (events === 0) return;
    const { report, subscription } = this.#options;
    report({ kind: 'reply', subscription, outcome, events });
  }
}

function settle({ publication }: Pending, fault: ReplyFault | null): void {
  // One fault stands for the whole reply. `too_large` wins, because a retry cannot mend it.
  if (fault !== null && publication.fault?.fault !== 'too_large') publication.fault = fault;
  if (--publication.left === 0) publication.resolve(publication.fault);
}

function faultOf(error: Error): ReplyFault & { fault: 'bad_reply' | 'too_many_hops' } {
  if (error instanceof TooManyHops) return { fault: 'too_many_hops', detail: error.message };
  if (error instanceof BadReply) return { fault: 'bad_reply', detail: `the reply: ${error.message}` };
  throw error;
}

function tooLarge({ topic, value }: LogRecord): string {
  return `the reply has ${value?.length ?? 0} bytes, more than ${topic} takes`;
}
