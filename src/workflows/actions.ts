import { type Plan, plannedStep } from './plan.ts';
import type { State } from './state.ts';

/** Something to be done for an instance as it stands; `key` tells it from all others of the instance. */
export type Action =
  /** `hurry`: what it does will be undone, so it is not tried again. */
  | { kind: 'call'; key: string; step: string; undo: boolean; hurry: boolean }
  /** Until `due`, in milliseconds since 1970, `length` ms after it began. */
  | { kind: 'timer'; key: string; step: string | null; at: number; due: number; length: number }
  /** Tell that it failed, or what became of it. */
  | { kind: 'tell'; key: string }
  | { kind: 'end'; key: string };

/** All that is to be done for an instance now: it follows from the state alone, so that anybody can go on. */
export function actionsOf(plan: Plan, state: State): Action[] {
  const { status, round } = state;
  if (status === 'ending') return [{ kind: 'end', key: 'end' }];
  if (status === 'failed') return state.told ? [] : [{ kind: 'tell', key: `tell/${round}` }];
  if (status !== 'running' && status !== 'undoing') return [];
  const actions: Action[] = [];
  for (const name in state.steps) {
    const step = state.steps[name]!;
    if (step.state === 'running') {
      const hurry = state.failure !== null;
      actions.push({ kind: 'call', key: `do/${name}/${round}`, step: name, undo: false, hurry });
    } else if (step.state === 'undoing') {
      actions.push({ kind: 'call', key: `undo/${name}/${round}`, step: name, undo: true, hurry: false });
    } else if (step.state === 'waiting' && state.failure === null) {
      const { since, at } = step;
      const length = plannedStep(plan, name)?.wait?.timeout ?? 0;
      actions.push({
        kind: 'timer',
        key: `wait/${name}/${at}`,
        step: name,
        at,
        due: since + length,
        length,
      });
    }
  }
  if (status === 'running' && state.failure === null) {
    const { timeout: length } = plan;
    actions.push({ kind: 'timer', key: 'timeout', step: null, at: 0, due: state.began + length, length });
  }
  return actions;
}
