import { Queue } from '../consume/queue.ts';
import type { FunctionReply } from '../function/conclude.ts';
import { BadReply } from '../function/reply.ts';
import { replyRecords, TooManyHops } from '../function/reply-record.ts';
import { retryWait } from '../function/retry.ts';
import type { Appender, AppendVerdict, LogRecord, StoredRecord } from '../ports/event-log.ts';
import type { ReplyOutcome, Report } from '../ports/report.ts';

/** Why an answer did not become events in a topic, as a call's answer says it. */
interface ReplyFault {
  fault: 'bad_reply' | 'too_large' | 'too_many_hops' | 'aborted';
  detail: string;
}

/** Keeps what functions answer. */
export interface Replies {
  /**
   * Stores the events of an answer to these records, as long as it takes. Resolves with null when all are
   * stored, or there are none; else with what is wrong: `bad_reply`, `too_large`, `too_many_hops`, or `aborted`
   * when it was closed before. Does not reject.
   */
  publish(records: readonly StoredRecord[], reply: FunctionReply): Promise<ReplyFault | null>;
  /** What waits to be stored is given up; what is on its way may end. */
  close(): void;
}

export interface RepliesOptions {
  log: Appender;
  subscription: string;
  topic: string;
  report: Report;
  random: () => number;
}

/** Who waits for some records to be stored. */
interface Publication {
  left: number;
  fault: ReplyFault | null;
  resolve(fault: ReplyFault | null): void;
}

interface Pending {
  record: LogRecord;
  publication: Publication;
}

const AT_ONCE = 100;
const AGAIN = { attempts: Number.POSITIVE_INFINITY, min: 200, max: 5_000 };
const ABORTED: ReplyFault = { fault: 'aborted', detail: 'given up before the reply was stored' };

/**
 * Appends replies to their topic: those that come while an append is on its way share the next. One that
 * cannot be stored is tried again, not asked for again: the function has done its work.
 */
export function makeReplies(options: RepliesOptions): Replies {
  return new Chain(options);
}

class Chain implements Replies {
  readonly #options: RepliesOptions;
  readonly #queue = new Queue<Pending>();
  /** Could not be stored, and wait for their time. */
  #late: Pending[] = [];
  #timer: NodeJS.Timeout | null = null;
  #failures = 0;
  #writing = false;
  #closed = false;

  constructor(options: RepliesOptions) {
    this.#options = options;
  }

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
      const length = Math.min(AT_ONCE, this.#queue.length);
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
      const wait = retryWait(++this.#failures, AGAIN, null, this.#options.random);
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
  // What is wrong with one is said of all, and the worst of it lasts: a record that is too large stays so.
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
