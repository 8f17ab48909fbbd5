import { Outbox } from '../consume/outbox.ts';
import type { FunctionReply } from '../function/answer.ts';
import { BadReply } from '../function/reply.ts';
import { replyRecords, TooManyHops } from '../function/reply-record.ts';
import type { Appender, LogRecord, StoredRecord } from '../ports/event-log.ts';
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

const ABORTED: ReplyFault = { fault: 'aborted', detail: 'given up before the reply was stored' };

/**
 * Appends the events of replies to their topic. A reply that cannot be stored is appended again, and the function is
 * not called again for it: it has done its work.
 */
export class Replies {
  readonly #options: RepliesOptions;
  readonly #outbox: Outbox;

  constructor(options: RepliesOptions) {
    this.#options = options;
    const { log, random } = options;
    this.#outbox = new Outbox({ log, random, tried: (verdict, events) => this.#report(verdict, events) });
  }

  /**
   * Stores the events of the reply to these records, however long it takes. Resolves with null when all are stored, or
   * there are none; else with the fault, `aborted` when it was closed before. Does not reject.
   */
  async publish(records: readonly StoredRecord[], reply: FunctionReply): Promise<ReplyFault | null> {
    let made: LogRecord[];
    try {
      made = replyRecords(records, reply, this.#options.topic);
    } catch (error) {
      const fault = faultOf(error as Error);
      this.#report(fault.fault, 1);
      return fault;
    }
    const outcomes = await this.#outbox.appendAll(made);
    // One fault stands for the whole reply. `too_large` wins, because a retry cannot mend it.
    const large = outcomes.lastIndexOf('too_large');
    if (large !== -1) return { fault: 'too_large', detail: tooLarge(made[large]!) };
    return outcomes.includes('dropped') ? ABORTED : null;
  }

  /** Gives up the records that wait to be appended again. Others have one try. */
  close(): void {
    this.#outbox.close();
  }

  #report(outcome: ReplyOutcome, events: number): void {
    const { report, subscription } = this.#options;
    report({ kind: 'reply', subscription, outcome, events });
  }
}

function faultOf(error: Error): ReplyFault & { fault: 'bad_reply' | 'too_many_hops' } {
  if (error instanceof TooManyHops) return { fault: 'too_many_hops', detail: error.message };
  if (error instanceof BadReply) return { fault: 'bad_reply', detail: `the reply: ${error.message}` };
  throw error;
}

function tooLarge({ topic, value }: LogRecord): string {
  return `the reply has ${value?.length ?? 0} bytes, more than ${topic} takes`;
}
