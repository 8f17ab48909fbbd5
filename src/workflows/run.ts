import type { Holding } from '../consume/commits.ts';
import type { EventLog, StoredRecord } from '../ports/event-log.ts';
import type { Report } from '../ports/report.ts';
import { actionsOf } from './actions.ts';
import { Calls } from './calls.ts';
import { type Compiled, progressTopic } from './compile.ts';
import { makeTeller, type Teller, tellChange } from './facts.ts';
import { Idle } from '../consume/idle.ts';
import { type Instance, Instances } from './instances.ts';
import { Journal, type Written } from './journal.ts';
import { storeLetter } from './letter.ts';
import type { Progress } from './progress.ts';
import { Reader, type Reading } from './reader.ts';
import { longerId, progressRecord, readProgress, startedRecord } from './record.ts';
import type { StepInvokers } from './step-invokers.ts';
import { Work } from './work.ts';

export interface RunOptions {
  workflow: Compiled;
  invokers: StepInvokers;
  log: EventLog;
  report: Report;
  now: () => number;
  random: () => number;
}

/** Milliseconds between looks at what can be forgotten. */
const SWEEP_MS = 1_000;
/** Calls that wait for a free place: with more of them no further instances are begun. */
const MOST_WAITING = 2_000;

/** Reads the progress of a workflow's instances, and does what follows from it. */
export class Run implements Reading {
  readonly #options: RunOptions;
  readonly #topic: string;
  readonly #reader: Reader;
  readonly #held = new Map<Holding, Instances>();
  #journal: Journal;
  #calls: Calls;
  #work: Work;
  readonly #teller: Teller;
  readonly #idle = new Idle(() => this.#calls.inflight === 0 && this.#journal.isIdle && this.#work.isIdle);
  #closing = false;
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: RunOptions) {
    const { workflow, log, random } = options;
    const { name } = workflow.config;
    this.#options = options;
    this.#topic = progressTopic(name);
    const group = `postern.workflow.${name}`;
    this.#reader = new Reader({ log, group, topics: [this.#topic], random, reading: this });
    this.#teller = makeTeller(options.report, name);
    this.#journal = this.#makeJournal();
    this.#calls = this.#makeCalls();
    this.#work = this.#makeWork();
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
  }

  get problem(): string | null {
    return this.#reader.problem ?? this.#journal.problem;
  }

  get isFull(): boolean {
    return this.#calls.waiting > MOST_WAITING;
  }

  start(): Promise<void> {
    return this.#reader.start();
  }

  async stop(ms: number): Promise<void> {
    clearInterval(this.#sweeper);
    await this.#reader.stop(ms);
  }

  /** All that are held here; those that are over too, for a while. */
  *instances(): Generator<Instance> {
    for (const held of this.#held.values()) yield* held.values();
  }

  find(id: string): Instance | undefined {
    for (const held of this.#held.values()) {
      const found = held.find(id);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Stores what people want of an instance. */
  say(
    { state: { id }, partition }: Instance,
    progress: Exclude<Progress, { kind: 'started' | 'arrived' }>,
  ): Promise<Written> {
    return this.#journal.append(progressRecord(id, progress, this.#topic, partition));
  }

  assigned(holdings: Holding[]): void {
    const { plan } = this.#options.workflow;
    const { commits } = this.#reader;
    for (const holding of holdings)
      this.#held.set(holding, new Instances(plan, holding, (offset) => commits.finish(holding, offset)));
  }

  records(holding: Holding, records: StoredRecord[], end: number): void {
    const held = this.#held.get(holding);
    if (held === undefined) return;
    held.reads(end);
    for (const record of records) this.#take(held, record);
    if (held.becomesReady()) for (const instance of held.values()) this.#reconcile(instance, true);
  }

  release(ms: number): Promise<void> {
    this.#closing = true;
    this.#calls.close();
    return this.#idle.wait(ms);
  }

  forget(): void {
    for (const { tasks } of this.instances()) for (const task of tasks) task.drop();
    this.#held.clear();
    this.#journal.close();
    this.#calls.close();
    this.#journal = this.#makeJournal();
    this.#calls = this.#makeCalls();
    this.#work = this.#makeWork();
    this.#closing = false;
  }

  #makeJournal(): Journal {
    return new Journal(this.#options.log, this.#options.random, this.#idle.changed);
  }

  #makeCalls(): Calls {
    return new Calls(this.#options.workflow.config.concurrency, this.#options.random, this.#idle.changed);
  }

  #makeWork(): Work {
    return new Work({
      ...this.#options,
      calls: this.#calls,
      journal: this.#journal,
      changed: this.#idle.changed,
    });
  }

  #take(held: Instances, record: StoredRecord): void {
    const read = readProgress(record);
    if (read === null) {
      held.skip(record.offset);
      return;
    }
    const { id, progress } = read;
    const before = held.find(id)?.state ?? null;
    if (progress.kind === 'started' && before !== null && before.status !== 'expected') {
      held.note(record, id, progress);
      // Of one of which only its end is known, it is the beginning.
      if (before.source === progress.source || before.source === '') held.finish(record.offset);
      else void this.#rename(held, record, longerId(id, progress.source));
      return;
    }
    const instance = held.take(record, id, progress);
    if (instance === null || !held.isReady) return;
    tellChange(this.#teller, before, instance.state);
    this.#reconcile(instance, false);
  }

  /**
   * An event of another source has begun an instance with this id. Whoever comes first must not keep the others out:
   * this one begins under a longer id, in the partition of that.
   */
  async #rename(held: Instances, record: StoredRecord, id: string): Promise<void> {
    let written = await this.#journal.append(startedRecord(record, id, this.#topic));
    if (written === 'too_large') {
      const { name, deadLetter } = this.#options.workflow.config;
      const failure = { step: null, reason: 'id_taken', detail: 'an event of another source has its id' };
      written = await storeLetter(this.#journal, record, name, failure, deadLetter);
    }
    if (written === 'dropped') return;
    this.#teller.tell('id_taken');
    held.finish(record.offset);
  }

  /** Begins what follows from the state of an instance, and drops what no longer does. */
  #reconcile(instance: Instance, again: boolean): void {
    if (this.#closing) return;
    const wanted = actionsOf(this.#options.workflow.plan, instance.state);
    if (instance.tasks.length > 0) {
      instance.tasks = instance.tasks.filter((task) => {
        if (wanted.some(({ key }) => key === task.key)) return true;
        task.drop();
        return false;
      });
    }
    for (const action of wanted) {
      const known = instance.tasks.find(({ key }) => key === action.key);
      if (known === undefined) instance.tasks.push(this.#work.begin(action, instance, again));
      else if (action.kind === 'call' && action.hurry) known.hurry();
    }
  }

  #sweep(): void {
    if (this.#closing) return;
    for (const held of this.#held.values()) {
      if (!held.isReady) continue;
      const old = held.sweep(this.#options.now(), () => this.#teller.tell('unmatched'));
      for (const instance of old) void this.#storeState(instance);
    }
  }

  async #storeState(instance: Instance): Promise<void> {
    instance.storing = 'yes';
    const { state } = instance;
    const written = await this.say(instance, { kind: 'state', state });
    if (written === 'too_large') instance.storing = 'too_large';
  }
}
