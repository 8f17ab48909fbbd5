import { type Plan, type PlannedStep, stepNames } from './plan.ts';
import type { RecordPosition } from './progress.ts';
import { type Failure, type State, sizeOf, stepOf } from './state.ts';

/** Characters that an instance may carry: its event, its results, and events that wait for a step. */
export const MAX_INSTANCE = 1024 * 1024;

/** Begins the next steps or undos that the state allows; changes the state. */
export function goOn(plan: Plan, state: State, position: RecordPosition): void {
  if (state.status === 'running') {
    if (sizeOf(state) > MAX_INSTANCE)
      fail(state, {
        step: null,
        reason: 'too_large',
        detail: `it carries more than ${MAX_INSTANCE} characters`,
      });
    beginSteps(plan, state, position);
    if (state.failure !== null && isIdle(state)) state.status = 'undoing';
  }
  if (state.status === 'undoing') undoNext(plan, state);
}

function beginSteps(plan: Plan, state: State, position: RecordPosition): void {
  for (const stage of plan.stages) {
    for (const step of stage) {
      if (state.failure !== null) return;
      if (stepOf(state, step.name) === undefined) beginStep(state, step, position);
    }
    if (stage.some(({ name }) => isOpen(stepOf(state, name)!))) return;
  }
  // A step that is no longer in the config may not be over yet.
  if (state.failure === null && !Object.values(state.steps).some(isOpen)) end(state, 'done');
}

function beginStep(state: State, step: PlannedStep, position: RecordPosition): void {
  const { name, when, wait, undo } = step;
  const wanted = when === null ? true : when(state);
  const begun = { since: position.time, at: position.offset, undo, unsure: false };
  if (wanted === null) {
    state.steps[name] = { ...begun, state: 'failed' };
    fail(state, { step: name, reason: 'when_failed', detail: 'its `when` has no answer' });
  } else if (!wanted) {
    state.steps[name] = { ...begun, state: 'skipped' };
  } else {
    state.steps[name] = { ...begun, state: wait === null ? 'running' : 'waiting' };
    if (wait !== null) useArrivals(state, step, position);
  }
}

function isOpen({ state }: { state: string }): boolean {
  return state === 'running' || state === 'waiting';
}

/** Whether no call is in flight. Only then is it known what must be undone. */
function isIdle({ steps }: State): boolean {
  return Object.values(steps).every(({ state }) => state !== 'running');
}

/** Undoes the last step that was done, or may have been. Steps that are no longer in the config come first. */
function undoNext(plan: Plan, state: State): void {
  const steps = Object.entries(state.steps);
  if (steps.some(([, { state: now }]) => now === 'undoing' || now === 'undo_failed')) return;
  const order = stepNames(plan);
  const left = steps
    .filter(([, step]) => step.undo && (step.state === 'done' || (step.state === 'failed' && step.unsure)))
    .sort(([a], [b]) => lastFirst(order, a) - lastFirst(order, b));
  const next = left[0];
  if (next === undefined) end(state, 'undone');
  else state.steps[next[0]] = { ...next[1], state: 'undoing' };
}

function lastFirst(order: string[], name: string): number {
  const place = order.indexOf(name);
  return place === -1 ? Number.NEGATIVE_INFINITY : -place;
}

/** Sets the outcome. */
export function end(state: State, outcome: NonNullable<State['outcome']>): void {
  state.status = 'ending';
  state.outcome = outcome;
}

/** Notes a failure. Only the first one counts. */
export function fail(state: State, failure: Failure): void {
  state.failure ??= failure;
}

/** Gives a waiting step the first event that it waits for, and drops the other events that came for it. */
export function useArrivals(state: State, step: PlannedStep, { time, offset }: RecordPosition): void {
  const { name, wait } = step;
  const found = state.arrivals.find((one) => one.step === name && wait?.matches(state, one.event));
  state.arrivals = state.arrivals.filter((one) => one.step !== name);
  if (found === undefined) return;
  state.steps[name] = { state: 'done', since: time, at: offset, undo: false, unsure: false };
  state.results[name] = found.event;
}
