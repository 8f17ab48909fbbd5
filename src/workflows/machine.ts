import { end, fail, goOn, useArrivals } from './advance.ts';
import { type Plan, plannedStep } from './plan.ts';
import type { CallEnded, Place, Progress } from './progress.ts';
import { emptyState, type State, stepOf } from './state.ts';

/**
 * What an instance is after a record of it; null: there is none. Pure: whoever reads the records of an instance in
 * their order, from its first or from a stored state on, comes to the same. Records that come twice or too late
 * change nothing.
 */
export function apply(
  plan: Plan,
  before: State | null,
  id: string,
  place: Place,
  progress: Progress,
): State | null {
  if (progress.kind === 'state') return supersedes(before, progress.state) ? progress.state : before;
  if (before === null && !begins(progress)) return null;
  const state = before === null ? emptyState(id) : { ...before };
  state.upto = place.offset;
  state.steps = { ...state.steps };
  state.results = { ...state.results };
  state.arrivals = [...state.arrivals];
  take(plan, state, place, progress);
  goOn(plan, state, place);
  return state;
}

/** A stored state counts unless there are records of the instance that it does not know of. */
export function supersedes(before: State | null, stored: State): boolean {
  return before === null || before.upto <= stored.upto;
}

function begins({ kind }: Progress): boolean {
  return kind === 'started' || kind === 'arrived' || kind === 'ended';
}

function take(plan: Plan, state: State, place: Place, progress: Exclude<Progress, { kind: 'state' }>): void {
  switch (progress.kind) {
    case 'started':
      if (state.status !== 'expected') return;
      state.status = 'running';
      state.input = progress.event;
      state.source = progress.source;
      state.trace = progress.trace;
      state.began = place.time;
      return;
    case 'arrived':
      arrive(plan, state, place, progress.step, progress.event);
      return;
    case 'called':
      if (progress.undo) undoEnded(state, progress);
      else callEnded(state, place, progress);
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
      // Of an instance whose beginning is not known, all that matters is that it is over.
      if (state.status !== 'ending' && state.status !== 'expected') return;
      end(state, progress.outcome);
      state.status = 'ended';
      state.input = '';
      state.results = {};
      state.arrivals = [];
  }
}

function arrive(plan: Plan, state: State, place: Place, name: string, event: string): void {
  if (state.status === 'ended' || state.status === 'ending') return;
  const known = stepOf(state, name);
  if (known !== undefined && known.state !== 'waiting') return;
  state.arrivals.push({ step: name, event });
  const step = plannedStep(plan, name);
  if (known !== undefined && step !== undefined) useArrivals(state, step, place);
}

/** Under another config it was not over yet. */
function reopen(state: State): void {
  if (state.status === 'ending' && state.outcome === 'done') state.status = 'running';
}

function callEnded(state: State, { time, offset }: Place, ended: CallEnded): void {
  const { step: name, failure, unsure, result, round, undoable: undo } = ended;
  if (state.status === 'expected' || state.status === 'ended') return;
  // One that is not begun here was by somebody whose config had other steps before it.
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
    // Somebody who has lost the instance meanwhile did it after all.
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
    fail(state, { step: null, reason: 'timeout', detail: 'the whole took too long' });
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
