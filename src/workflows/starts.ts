import { cloudEvent } from '../cloudevents/record.ts';
import type { Holding } from '../consume/commits.ts';
import { Intake } from '../consume/intake.ts';
import { Member, type Work } from '../consume/member.ts';
import type { EventLog, LogRecord, StoredRecord } from '../ports/event-log.ts';
import { recordSize } from '../ports/record-size.ts';
import { type Compiled, progressTopic } from './compile.ts';
import { storeLetter } from './letter.ts';
import { arrivedRecord, startedRecord } from './record.ts';

export interface StartsOptions {
  workflow: Compiled;
  log: EventLog;
  random: () => number;
  /** True while too many calls wait. */
  isFull(): boolean;
  /** An event could not be taken because it is too large. */
  tooLarge(): void;
}

/** While `isFull`: the time between checks. */
const CHECK_MS = 100;

/** Reads the topics of a workflow, and copies the events for its instances into their progress topic. */
export class Starts implements Work {
  readonly #options: StartsOptions;
  readonly member: Member;
  readonly #intake = new Intake(100, 5, 'none');
  readonly #topic: string;
  #check: NodeJS.Timeout | null = null;

  constructor(options: StartsOptions) {
    this.#options = options;
    const { config, waiting } = options.workflow;
    this.#topic = progressTopic(config.name);
    const topics = [...new Set([...config.on.topics, ...waiting.flatMap((one) => one.topics)])];
    this.member = new Member({
      log: options.log,
      reads: { group: `postern.workflow.${config.name}.in`, topics, from: 'earliest' },
      random: options.random,
      work: this,
      pauses: () => this.#pauses(),
    });
  }

  take(holding: Holding, records: StoredRecord[]): void {
    for (const record of records) {
      const made = this.#recordsOf(record);
      if (made.length === 0) this.member.commits.finish(holding, record.offset);
      else void this.#store(holding, record, made);
    }
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  forget(): void {
    if (this.#check !== null) clearTimeout(this.#check);
    this.#check = null;
    this.#intake.reset();
  }

  /** The records for an event: one if it begins an instance, and one for each instance that waits for it. */
  #recordsOf(record: StoredRecord): LogRecord[] {
    const { config, starts, waiting } = this.#options.workflow;
    const made: LogRecord[] = [];
    if (config.on.topics.includes(record.topic) && (starts?.match(record) ?? true))
      made.push(startedRecord(record, cloudEvent(record).attributes.id!, this.#topic));
    for (const { step, topics, filter } of waiting) {
      const id = topics.includes(record.topic) ? filter.idOf(record) : null;
      if (id !== null) made.push(arrivedRecord(record, id, step, this.#topic));
    }
    return made;
  }

  async #store(holding: Holding, record: StoredRecord, made: LogRecord[]): Promise<void> {
    const { outbox } = this.member;
    const size = recordSize(record);
    this.#intake.add(size);
    const written = await Promise.all(made.map((one) => outbox.append(one)));
    if (written.includes('too_large')) {
      const { name, deadLetter } = this.#options.workflow.config;
      const failure = { step: null, reason: 'too_large', detail: `more than ${this.#topic} takes` };
      this.#options.tooLarge();
      written.push(await storeLetter(outbox, record, name, failure, deadLetter));
    }
    if (holding.lost) return;
    this.#intake.settle(size);
    // An event that was dropped is read again.
    if (!written.includes('dropped')) this.member.commits.finish(holding, record.offset);
    this.member.regulate();
  }

  #pauses(): (holding: Holding) => boolean {
    const isFull = this.#options.isFull();
    if (isFull)
      this.#check ??= setTimeout(() => {
        this.#check = null;
        this.member.regulate();
      }, CHECK_MS);
    return this.#intake.pauses(isFull);
  }
}
