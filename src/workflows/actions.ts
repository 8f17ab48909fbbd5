import { type Plan, plannedStep } from './plan.ts';
import type { State } from './state.ts';

/** An action that the state of an instance asks for; `key` identifies it among those of the instance. */
export type Action =
  /** `hurry`: it will be undone anyway, so it is not tried again. */
  | { kind: 'call'; key: string; step: string; undo: boolean; hurry: boolean }
  /** A timeout: `due` in milliseconds since 1970, `length` ms after the step or instance began. */
  | { kind: 'timer'; key: string; step: string | null; at: number; due: number; length: number }
  /** `tell`: publish that the instance failed; `end`: publish its outcome. */
  | { kind: 'tell'; key: string }
  | { kind: 'end'; key: string };

/** All actions for an instance now. They depend only on the state, so that any process can go on with them. */
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
