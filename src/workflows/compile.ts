import type { CallStep, StepConfig, WaitStep, WorkflowConfig } from '../config/workflow/types.ts';
import { compileFilter, type Filter } from '../filter/filter.ts';
import type { Plan, PlannedStep } from './plan.ts';
import { compileWait, type WaitFilter } from './wait.ts';
import { compileWhen } from './when.ts';

/** A step that waits for an event: its topics, and the filter that finds the instance. */
interface WaitingStep {
  step: string;
  topics: readonly string[];
  filter: WaitFilter;
}

/** A workflow with its expressions compiled. */
export interface Compiled {
  config: WorkflowConfig;
  plan: Plan;
  /** The filter for events that begin an instance; null: all events of the topics do. */
  starts: Filter | null;
  waiting: WaitingStep[];
  calls: ReadonlyMap<string, CallStep>;
}

/** Throws an Error on an expression that cannot be used. */
export function compileWorkflow(config: WorkflowConfig): Compiled {
  const waiting: WaitingStep[] = [];
  const calls = new Map<string, CallStep>();
  const stages = config.steps.map((step) => membersOf(step).map((one) => plan(one, waiting, calls)));
  const { filter } = config.on;
  return {
    config,
    plan: { stages, timeout: config.timeout },
    starts: filter === null ? null : compileFilter(filter),
    waiting,
    calls,
  };
}

function membersOf(step: StepConfig): (CallStep | WaitStep)[] {
  return 'parallel' in step ? step.parallel : [step];
}

function plan(step: CallStep | WaitStep, waiting: WaitingStep[], calls: Map<string, CallStep>): PlannedStep {
  const { name } = step;
  const when = step.when === null ? null : compileWhen(step.when);
  if ('waitFor' in step) {
    const filter = compileWait(step.waitFor.filter);
    waiting.push({ step: name, topics: step.waitFor.topics, filter });
    const matches = filter.matches;
    return { name, undo: false, when, wait: { timeout: step.timeout, matches } };
  }
  calls.set(name, step);
  return { name, undo: step.undo !== null, when, wait: null };
}

/** The topic that holds the progress of a workflow's instances. */
export function progressTopic(name: string): string {
  return `workflow.${name}`;
}
