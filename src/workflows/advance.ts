import { type Plan, type PlannedStep, stepNames } from './plan.ts';
import type { Place } from './progress.ts';
import { type Failure, type State, sizeOf, stepOf } from './state.ts';

/** Characters that an instance may carry: its event, its results, and events that wait for it. */
export const LARGEST = 1024 * 1024;

/** Begins what comes next, as far as the state allows it; changes the state. */
export function goOn(plan: Plan, state: State, place: Place): void {
  if (state.status === 'running') {
    if (sizeOf(state) > LARGEST)
      fail(state, { step: null, reason: 'too_large', detail: `it carries more than ${LARGEST} characters` });
    beginSteps(plan, state, place);
    if (state.failure !== null && isIdle(state)) state.status = 'undoing';
  }
  if (state.status === 'undoing') undoNext(plan, state);
}

function beginSteps(plan: Plan, state: State, place: Place): void {
  for (const stage of plan.stages) {
    for (const step of stage) {
      if (state.failure !== null) return;
      if (stepOf(state, step.name) === undefined) beginStep(state, step, place);
    }
    if (stage.some(({ name }) => isOpen(stepOf(state, name)!))) return;
  }
  // A step that the config has no more, but is not over yet.
  if (state.failure === null && !Object.values(state.steps).some(isOpen)) end(state, 'done');
}

function beginStep(state: State, step: PlannedStep, place: Place): void {
  const { name, when, wait, undo } = step;
  const wanted = when === null ? true : when(state);
  const begun = { since: place.time, at: place.offset, undo, unsure: false };
  if (wanted === null) {
    state.steps[name] = { ...begun, state: 'failed' };
    fail(state, { step: name, reason: 'when_failed', detail: 'its `when` has no answer' });
  } else if (!wanted) {
    state.steps[name] = { ...begun, state: 'skipped' };
  } else {
    state.steps[name] = { ...begun, state: wait === null ? 'running' : 'waiting' };
    if (wait !== null) useArrivals(state, step, place);
  }
}

function isOpen({ state }: { state: string }): boolean {
  return state === 'running' || state === 'waiting';
}

/** Calls that are under way may still do something: only then it is known what has to be undone. */
function isIdle({ steps }: State): boolean {
  return Object.values(steps).every(({ state }) => state !== 'running');
}

/** Undoes the last step that was done, or may have been; steps that the config has no more come first. */
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

/** Fixes what became of it. */
export function end(state: State, outcome: NonNullable<State['outcome']>): void {
  state.status = 'ending';
  state.outcome = outcome;
}

/** The first reason is the one that counts. */
export function fail(state: State, failure: Failure): void {
  state.failure ??= failure;
}

/** Gives a waiting step the first event that it waits for; the others are of no use. */
export function useArrivals(state: State, step: PlannedStep, { time, offset }: Place): void {
  const { name, wait } = step;
  const found = state.arrivals.find((one) => one.step === name && wait?.matches(state, one.event));
  state.arrivals = state.arrivals.filter((one) => one.step !== name);
  if (found === undefined) return;
  state.steps[name] = { state: 'done', since: time, at: offset, undo: false, unsure: false };
  state.results[name] = found.event;
}
