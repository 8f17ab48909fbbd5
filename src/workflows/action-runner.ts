import type { Outbox, WriteOutcome } from '../consume/outbox.ts';
import { reasonOf } from '../function/answer.ts';
import { excerpt } from '../function/excerpt.ts';
import { MAX_TIMER } from '../function/retry.ts';
import type { Report } from '../ports/report.ts';
import type { Action } from './actions.ts';
import type { CallResult, Calls } from './calls.ts';
import { type Compiled, progressTopic } from './compile.ts';
import { type InstanceReporter, makeInstanceReporter } from './facts.ts';
import { storeLetter } from './letter.ts';
import type { CallEnded, Progress } from './progress.ts';
import { progressRecord } from './record.ts';
import { callRecord, resultOf, resultRecord } from './sent-events.ts';
import type { State } from './state.ts';
import type { StepInvokers } from './step-invokers.ts';
import { plainTask, type Task } from './tasks.ts';

export interface ActionRunnerOptions {
  workflow: Compiled;
  invokers: StepInvokers;
  calls: Calls;
  outbox: Outbox;
  report: Report;
  now: () => number;
  /** `isIdle` may have changed. */
  changed(): void;
}

/** An instance as it was when the action began. */
interface Subject {
  state: State;
  partition: number;
}

type CallAction = Extract<Action, { kind: 'call' }>;
type TimerAction = Extract<Action, { kind: 'timer' }>;

/** Carries out the actions of instances. A result is stored, and counts only when it is read. */
export class ActionRunner {
  readonly #options: ActionRunnerOptions;
  readonly #topic: string;
  readonly #report: InstanceReporter;
  #storing = 0;

  constructor(options: ActionRunnerOptions) {
    this.#options = options;
    const { name } = options.workflow.config;
    this.#topic = progressTopic(name);
    this.#report = makeInstanceReporter(options.report, name);
  }

  /** No result is being stored. Calls and appends in flight are counted by `Calls` and `Outbox`. */
  get isIdle(): boolean {
    return this.#storing === 0;
  }

  /** Begins an action; `again`: another process may have begun it before. */
  begin(action: Action, { state, partition }: Subject, again: boolean): Task {
    const subject = { state, partition };
    switch (action.kind) {
      case 'call':
        return this.#call(action, subject, again);
      case 'timer':
        return this.#timer(action, subject);
      case 'end':
        void this.#whileStoring(() => this.#end(subject));
        return plainTask(action.key);
      case 'tell':
        void this.#whileStoring(() => this.#storeFailed(subject));
        return plainTask(action.key);
    }
  }

  #call(action: CallAction, subject: Subject, again: boolean): Task {
    const { state } = subject;
    const { invokers, calls, workflow } = this.#options;
    const { step, undo, key } = action;
    const invoker = invokers.find(step, undo);
    const config = workflow.calls.get(step);
    if (invoker === undefined || config === undefined) {
      const detail = undo ? 'the config has nothing that undoes it' : 'the config has no such step';
      const failure = { step, reason: 'no_such_step', detail };
      const { round } = state;
      void this.#say(subject, {
        kind: 'called',
        step,
        undo,
        undoable: state.steps[step]!.undo,
        round,
        failure,
        unsure: true,
        result: null,
      });
      return plainTask(key);
    }
    const record = callRecord(workflow.config.name, state, step, undo);
    const call = calls.begin({
      invoker,
      record,
      retry: config.retry,
      again,
      ended: (ended) => void this.#whileStoring(() => this.#called(action, subject, ended)),
    });
    if (action.hurry) call.hurry();
    return { key, hurry: () => call.hurry(), drop: () => call.drop() };
  }

  async #called({ step, undo }: CallAction, subject: Subject, callResult: CallResult): Promise<void> {
    const { answer, done, unsure, attempts, ms } = callResult;
    const reason = done ? null : reasonOf(answer);
    const { round } = subject.state;
    const outcome = undo ? (done ? 'undone' : 'undo_failed') : done ? 'done' : 'failed';
    const workflow = this.#options.workflow.config.name;
    const { status } = answer;
    this.#options.report({ kind: 'step', workflow, step, outcome, attempts, ms, status, reason });
    const failure = reason === null ? null : { step, reason, detail: excerpt(answer.detail) };
    const result = done && !undo && answer.reply !== null ? resultOf(answer.reply) : null;
    const undoable = this.#options.invokers.find(step, true) !== undefined;
    const said: CallEnded = { kind: 'called', step, undo, undoable, round, failure, unsure, result };
    if ((await this.#say(subject, said)) !== 'too_large') return;
    const tooLarge = { step, reason: 'too_large', detail: `its result is more than ${this.#topic} takes` };
    await this.#say(subject, { ...said, failure: tooLarge, unsure: true, result: null });
  }

  /** Waits until `due`, but not longer than `length`, even if the clock was set back since it began. */
  #timer({ key, step, at, due, length }: TimerAction, subject: Subject): Task {
    let timer: NodeJS.Timeout | null = null;
    const arm = (left: number): void => {
      const now = Math.min(left, MAX_TIMER);
      timer = setTimeout(() => {
        if (left > now) arm(left - now);
        else void this.#say(subject, { kind: 'expired', step, at });
      }, now);
    };
    arm(Math.min(length, Math.max(0, due - this.#options.now())));
    return {
      key,
      hurry: () => {},
      drop: () => clearTimeout(timer!),
    };
  }

  async #end(subject: Subject): Promise<void> {
    const { state } = subject;
    if (await this.#publish(subject)) await this.#say(subject, { kind: 'ended', outcome: state.outcome! });
  }

  /** Informs people that an undo failed: by a dead letter with the call that failed, and by an event. */
  async #storeFailed(subject: Subject): Promise<void> {
    const { state } = subject;
    const { round, steps } = state;
    const { name, deadLetter } = this.#options.workflow.config;
    for (const step in steps) {
      if (steps[step]!.state !== 'undo_failed') continue;
      const failure = { step, reason: 'undo_failed', detail: 'the step is not undone' };
      const call = callRecord(name, state, step, true);
      if ((await storeLetter(this.#options.outbox, call, name, failure, deadLetter)) === 'dropped') return;
      this.#report('failed', { step, reason: 'undo_failed' });
    }
    if (await this.#publish(subject)) await this.#say(subject, { kind: 'told', round });
  }

  /** Stores the result event. False when it was given up before it was stored. */
  async #publish({ state, partition }: Subject): Promise<boolean> {
    const { name, result, deadLetter } = this.#options.workflow.config;
    if (result === null) return true;
    const { outbox } = this.#options;
    const record = resultRecord(name, state, result, false);
    if (record === null) {
      this.#report('too_many_hops');
      const detail = 'its beginning was the answer to too many answers';
      const origin = {
        topic: this.#topic,
        partition,
        offset: 0,
        timestamp: this.#options.now(),
        key: state.id,
        value: Buffer.from(state.input),
        headers: {},
      };
      const failure = { step: null, reason: 'too_many_hops', detail };
      return (await storeLetter(outbox, origin, name, failure, deadLetter)) !== 'dropped';
    }
    let written = await outbox.append(record);
    if (written === 'too_large') written = await outbox.append(resultRecord(name, state, result, true)!);
    return written !== 'dropped';
  }

  #say(
    { state: { id }, partition }: Subject,
    progress: Exclude<Progress, { kind: 'started' | 'arrived' }>,
  ): Promise<WriteOutcome> {
    return this.#options.outbox.append(progressRecord(id, progress, this.#topic, partition));
  }

  async #whileStoring(work: () => Promise<void>): Promise<void> {
    this.#storing++;
    try {
      await work();
    } finally {
      this.#storing--;
      this.#options.changed();
    }
  }
}
