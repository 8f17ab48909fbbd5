import type { FunctionConfig } from '../subscription/types.ts';

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
  /** Takes back what the step did; null: nothing to take back. */
  undo: FunctionConfig | null;
  /** CEL over `workflow`; false: the step is skipped. Null: always. */
  when: string | null;
  retry: RetryConfig;
  /** Of one call. */
  timeout: number;
}

/** A step that waits for an event. */
export interface WaitStep {
  name: string;
  waitFor: { topics: string[]; filter: string };
  when: string | null;
  /** After which the step has failed. */
  timeout: number;
}

export type StepConfig = CallStep | WaitStep | { parallel: CallStep[] };

export interface WorkflowConfig {
  name: string;
  on: { topics: string[]; filter: string | null };
  steps: StepConfig[];
  /** Of the whole; then it is undone. */
  timeout: number;
  /** Calls at once. */
  concurrency: number;
  /** Topic for what came of each instance; null: none. */
  result: string | null;
  deadLetter: string;
}
