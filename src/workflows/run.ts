import type { Holding } from '../consume/commits.ts';
import { Idle } from '../consume/idle.ts';
import { Member, type Work } from '../consume/member.ts';
import type { WriteOutcome } from '../consume/outbox.ts';
import type { EventLog, StoredRecord } from '../ports/event-log.ts';
import type { Report } from '../ports/report.ts';
import { ActionRunner } from './action-runner.ts';
import { actionsOf } from './actions.ts';
import { Calls } from './calls.ts';
import { type Compiled, progressTopic } from './compile.ts';
import { type InstanceReporter, makeInstanceReporter, reportChange } from './facts.ts';
import { type Instance, Instances } from './instances.ts';
import { storeLetter } from './letter.ts';
import type { Progress } from './progress.ts';
import { longerId, progressRecord, readProgress, startedRecord } from './record.ts';
import type { StepInvokers } from './step-invokers.ts';

export interface InstanceRunnerOptions {
  workflow: Compiled;
  invokers: StepInvokers;
  log: EventLog;
  report: Report;
  now: () => number;
  random: () => number;
}

/** Time between sweeps, which forget instances that are over. */
const SWEEP_MS = 1_000;
/** With more calls that wait for their turn, no further instances are begun. */
const MOST_WAITING = 2_000;

/** Reads the progress of a workflow's instances, and carries out the actions that follow from it. */
export class InstanceRunner implements Work {
  readonly #options: InstanceRunnerOptions;
  readonly #topic: string;
  readonly member: Member;
  readonly #held = new Map<Holding, Instances>();
  /** The calls and actions for the partitions that are assigned now. */
  #doing: { calls: Calls; actions: ActionRunner };
  readonly #report: InstanceReporter;
  readonly #idle = new Idle(() => this.#doing.calls.inflight === 0 && this.#doing.actions.isIdle);
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: InstanceRunnerOptions) {
    const { workflow, log, random } = options;
    const { name } = workflow.config;
    this.#options = options;
    this.#topic = progressTopic(name);
    this.member = new Member({
      log,
      reads: { group: `postern.workflow.${name}`, topics: [this.#topic], from: 'earliest' },
      random,
      work: this,
    });
    this.#report = makeInstanceReporter(options.report, name);
    this.#doing = this.#begin();
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
  }

  get isFull(): boolean {
    return this.#doing.calls.waiting > MOST_WAITING;
  }

  async stop(graceMs: number): Promise<void> {
    clearInterval(this.#sweeper);
    await this.member.stop(graceMs);
  }

  /** All instances that are held here, also those that were over a short time ago. */
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

  /** Stores a person's wish for an instance. */
  say(
    { state: { id }, partition }: Instance,
    progress: Exclude<Progress, { kind: 'started' | 'arrived' }>,
  ): Promise<WriteOutcome> {
    return this.member.outbox.append(progressRecord(id, progress, this.#topic, partition));
  }

  take(holding: Holding, records: StoredRecord[]): void {
    let held = this.#held.get(holding);
    if (held === undefined) {
      const { plan } = this.#options.workflow;
      held = new Instances(plan, holding, (offset) => this.member.commits.finish(holding, offset));
      this.#held.set(holding, held);
    }
    if (holding.end !== null) held.reads(holding.end);
    for (const record of records) this.#take(held, record);
    if (held.becomesReady()) for (const instance of held.values()) this.#reconcile(instance, true);
  }

  release(): Promise<void> {
    this.#doing.calls.close();
    return this.#idle.wait();
  }

  forget(): void {
    for (const { tasks } of this.instances()) for (const task of tasks) task.drop();
    this.#held.clear();
    this.#doing.calls.close();
    this.#doing = this.#begin();
  }

  #begin(): { calls: Calls; actions: ActionRunner } {
    const { workflow, random } = this.#options;
    const { changed } = this.#idle;
    const calls = new Calls(workflow.config.concurrency, random, changed);
    const { outbox } = this.member;
    return { calls, actions: new ActionRunner({ ...this.#options, calls, outbox, changed }) };
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
      // A copy; or the beginning of an instance of which only the end was known.
      if (before.source === progress.source || before.source === '') held.finish(record.offset);
      else void this.#rename(held, record, longerId(id, progress.source));
      return;
    }
    const instance = held.take(record, id, progress);
    if (instance === null || !held.isReady) return;
    reportChange(this.#report, before, instance.state);
    this.#reconcile(instance, false);
  }

  /**
   * An event of another source has begun an instance with this id. It must not keep this one out, so this one begins
   * with a longer id, in the partition of that id.
   */
  async #rename(held: Instances, record: StoredRecord, id: string): Promise<void> {
    let written = await this.member.outbox.append(startedRecord(record, id, this.#topic));
    if (written === 'too_large') {
      const { name, deadLetter } = this.#options.workflow.config;
      const failure = { step: null, reason: 'id_taken', detail: 'an event of another source has its id' };
      written = await storeLetter(this.member.outbox, record, name, failure, deadLetter);
    }
    if (written === 'dropped') return;
    this.#report('id_taken');
    held.finish(record.offset);
  }

  /** Begins the actions that the state of an instance asks for, and drops the others. */
  #reconcile(instance: Instance, again: boolean): void {
    if (this.member.isClosing) return;
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
      if (known === undefined) instance.tasks.push(this.#doing.actions.begin(action, instance, again));
      else if (action.kind === 'call' && action.hurry) known.hurry();
    }
  }

  #sweep(): void {
    if (this.member.isClosing) return;
    for (const held of this.#held.values()) {
      if (!held.isReady) continue;
      const old = held.sweep(this.#options.now(), () => this.#report('unmatched'));
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
