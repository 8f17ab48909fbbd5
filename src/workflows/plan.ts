import type { State } from './state.ts';

/** A workflow as the machine goes through it. */
export interface Plan {
  /** One after the other; the steps of one stage run side by side. */
  stages: readonly (readonly PlannedStep[])[];
  /** Milliseconds for the whole. */
  timeout: number;
}

export interface PlannedStep {
  name: string;
  /** Whether what it did can be undone. */
  undo: boolean;
  /** Whether it is to be done; null when that cannot be told. Without it: always. */
  when: ((state: State) => boolean | null) | null;
  /** Of a step that waits for an event; null: it calls a function. */
  wait: {
    /** Milliseconds. */
    timeout: number;
    /** Whether an event, in the JSON format, is the one. */
    matches(state: State, event: string): boolean;
  } | null;
}

/** The step of a name, or undefined when the config has it no more. */
export function plannedStep({ stages }: Plan, name: string): PlannedStep | undefined {
  for (const stage of stages) for (const step of stage) if (step.name === name) return step;
  return undefined;
}

/** Names of all steps in their order. */
export function stepNames({ stages }: Plan): string[] {
  return stages.flatMap((stage) => stage.map(({ name }) => name));
}
