import { end, fail, goOn, useArrivals } from './advance.ts';
import { type Plan, plannedStep } from './plan.ts';
import type { CallEnded, Progress, RecordPosition } from './progress.ts';
import { emptyState, type State, stepOf } from './state.ts';

/**
 * The state of an instance after one more of its records; null: there is no instance. A pure function: each process that
 * reads the records of an instance in order, from the first one or from a stored state on, gets the same state. Records
 * that come twice or too late change nothing.
 */
export function apply(
  plan: Plan,
  before: State | null,
  id: string,
  position: RecordPosition,
  progress: Progress,
): State | null {
  if (progress.kind === 'state') return supersedes(before, progress.state) ? progress.state : before;
  if (before === null && !begins(progress)) return null;
  const state = before === null ? emptyState(id) : { ...before };
  state.upto = position.offset;
  state.steps = { ...state.steps };
  state.results = { ...state.results };
  state.arrivals = [...state.arrivals];
  take(plan, state, position, progress);
  goOn(plan, state, position);
  return state;
}

/** Whether a stored state replaces the one before: unless that knows a later record of the instance. */
export function supersedes(before: State | null, stored: State): boolean {
  return before === null || before.upto <= stored.upto;
}

function begins({ kind }: Progress): boolean {
  return kind === 'started' || kind === 'arrived' || kind === 'ended';
}

function take(
  plan: Plan,
  state: State,
  position: RecordPosition,
  progress: Exclude<Progress, { kind: 'state' }>,
): void {
  switch (progress.kind) {
    case 'started':
      if (state.status !== 'expected') return;
      state.status = 'running';
      state.input = progress.event;
      state.source = progress.source;
      state.trace = progress.trace;
      state.began = position.time;
      return;
    case 'arrived':
      arrive(plan, state, position, progress.step, progress.event);
      return;
    case 'called':
      if (progress.undo) undoEnded(state, progress);
      else callEnded(state, position, progress);
      return;
    case 'expired':
      expire(state, progress.step, progress.at);
      return;
    case 'retry':
      retry(state);
      return;
    case 'cancel':
      if (state.status === 'running')
        fail(state, { step: null, reason: 'cancelled', detail: 'cancelled by hand' });
      return;
    case 'leave':
      if (state.status === 'failed' && progress.round === state.round) end(state, 'failed');
      return;
    case 'told':
      if (progress.round === state.round) state.told = true;
      return;
    case 'ended':
      // The beginning of the instance may be unknown here. It is over in any case.
      if (state.status !== 'ending' && state.status !== 'expected') return;
      end(state, progress.outcome);
      state.status = 'ended';
      state.input = '';
      state.results = {};
      state.arrivals = [];
  }
}

function arrive(plan: Plan, state: State, position: RecordPosition, name: string, event: string): void {
  if (state.status === 'ended' || state.status === 'ending') return;
  const known = stepOf(state, name);
  if (known !== undefined && known.state !== 'waiting') return;
  state.arrivals.push({ step: name, event });
  const step = plannedStep(plan, name);
  if (known !== undefined && step !== undefined) useArrivals(state, step, position);
}

/** An instance that is done goes on when a step of another config was not over. */
function reopen(state: State): void {
  if (state.status === 'ending' && state.outcome === 'done') state.status = 'running';
}

function callEnded(state: State, { time, offset }: RecordPosition, ended: CallEnded): void {
  const { step: name, failure, unsure, result, round, undoable: undo } = ended;
  if (state.status === 'expected' || state.status === 'ended') return;
  // A step that was not begun here was begun by a process with another config.
  const begun = stepOf(state, name) ?? { state: 'running', since: time, at: offset, undo, unsure: false };
  const step = { ...begun, undo: begun.undo || undo };
  if (failure !== null) {
    if (step.state !== 'running' || round !== state.round) return;
    state.steps[name] = { ...step, state: 'failed', unsure };
    fail(state, failure);
    reopen(state);
  } else if (step.state === 'running') {
    state.steps[name] = { ...step, state: 'done' };
    if (result !== null) state.results[name] = result;
  } else if (step.state === 'failed' && !step.unsure) {
    // A process that had lost the instance has done the step after all.
    state.steps[name] = { ...step, unsure: true };
    if (state.status === 'ending' && state.outcome === 'undone') state.status = 'undoing';
  }
}

function undoEnded(state: State, { step: name, failure, round }: CallEnded): void {
  const step = stepOf(state, name);
  if (step === undefined) return;
  if (failure === null && step.state === 'done') {
    state.steps[name] = { ...step, state: 'undone' };
    fail(state, { step: null, reason: 'config_changed', detail: 'it was undone under another config' });
    reopen(state);
  } else if (step.state !== 'undoing' && step.state !== 'undo_failed') {
    // An answer that came twice.
  } else if (failure === null) {
    state.steps[name] = { ...step, state: 'undone' };
    if (state.status === 'failed') state.status = 'undoing';
  } else if (step.state === 'undoing' && round === state.round) {
    state.steps[name] = { ...step, state: 'undo_failed' };
    state.status = 'failed';
  }
}

function expire(state: State, name: string | null, at: number): void {
  if (state.status !== 'running') return;
  if (name === null) {
    fail(state, { step: null, reason: 'timeout', detail: 'the workflow took too long' });
    return;
  }
  const step = stepOf(state, name);
  if (step?.state !== 'waiting' || step.at !== at) return;
  state.steps[name] = { ...step, state: 'failed' };
  fail(state, { step: name, reason: 'timeout', detail: 'the event that it waits for did not come' });
}

function retry(state: State): void {
  if (state.status !== 'failed') return;
  state.status = 'undoing';
  state.round++;
  state.told = false;
  for (const [name, step] of Object.entries(state.steps))
    if (step.state === 'undo_failed') state.steps[name] = { ...step, state: 'undoing' };
}
