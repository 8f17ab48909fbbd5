import type { FunctionConfig } from '../function/types.ts';
import type { Path } from '../text/path.ts';

/** Workflows as the code uses them: durations in milliseconds. */

export interface RetryConfig {
  attempts: number;
  min: number;
  max: number;
}

/** A step that calls a function. */
export interface CallStep {
  name: string;
  function: FunctionConfig;
  /** Undoes the step; null: there is nothing to undo. */
  undo: FunctionConfig | null;
  /** CEL over `workflow`; the step is skipped when it is false. Null: it never is. */
  when: string | null;
  retry: RetryConfig;
  /** Of one call, in milliseconds. */
  timeout: number;
}

/** A step that waits for an event. */
export interface WaitStep {
  name: string;
  waitFor: { topics: string[]; filter: string };
  when: string | null;
  /** Milliseconds after which the step has failed. */
  timeout: number;
}

export type StepConfig = CallStep | WaitStep | { parallel: CallStep[] };

export interface WorkflowConfig {
  name: string;
  on: { topics: string[]; filter: string | null };
  steps: StepConfig[];
  /** Milliseconds after which an instance is undone. */
  timeout: number;
  /** Most calls at the same time. */
  concurrency: number;
  /** Topic for the result of each instance; null: none. */
  result: string | null;
  deadLetter: string;
}

/** The steps that call functions, each with its path in the config. */
export function callsOf({ name, steps }: WorkflowConfig): [Path, CallStep][] {
  return steps.flatMap((step, index): [Path, CallStep][] => {
    const path = ['workflows', name, 'steps', index];
    if ('parallel' in step) return step.parallel.map((call, place) => [[...path, 'parallel', place], call]);
    return 'waitFor' in step ? [] : [[path, step]];
  });
}
