import type { State } from './state.ts';

/** The steps of a workflow, for the state machine. */
export interface Plan {
  /** The stages run one after the other, the steps of a stage in parallel. */
  stages: readonly (readonly PlannedStep[])[];
  /** Milliseconds for the whole workflow. */
  timeout: number;
}

export interface PlannedStep {
  name: string;
  /** Whether it can be undone. */
  undo: boolean;
  /** Whether to do it; it returns null when the expression fails. Without it: always. */
  when: ((state: State) => boolean | null) | null;
  /** Set for a step that waits for an event; null: it calls a function. */
  wait: {
    /** Milliseconds. */
    timeout: number;
    /** Whether it waits for this event, in the JSON format. */
    matches(state: State, event: string): boolean;
  } | null;
}

/** The step of this name; undefined when it is no longer in the config. */
export function plannedStep({ stages }: Plan, name: string): PlannedStep | undefined {
  for (const stage of stages) for (const step of stage) if (step.name === name) return step;
  return undefined;
}

/** Names of all steps in their order. */
export function stepNames({ stages }: Plan): string[] {
  return stages.flatMap((stage) => stage.map(({ name }) => name));
}
