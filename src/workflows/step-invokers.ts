import type { CallStep, WorkflowConfig } from '../config/workflow/types.ts';
import type { Invoker } from '../function/invoker.ts';
import { makeInvoker } from '../function/make.ts';
import { tracedInvoker } from '../function/trace.ts';
import type { Tracing } from '../ports/tracing.ts';

/** The invokers of a workflow's steps. */
export interface StepInvokers {
  /** The invoker of a step or its undo; undefined when the config has none. */
  find(step: string, undo: boolean): Invoker | undefined;
  close(): Promise<void>;
}

/** Rejects with TypeError when the settings of a function cannot be used. */
export async function makeStepInvokers(
  { name, concurrency }: WorkflowConfig,
  calls: Iterable<CallStep>,
  bootstrapServers: string,
  tracing: Tracing | null,
): Promise<StepInvokers> {
  const doing = new Map<string, Invoker>();
  const undoing = new Map<string, Invoker>();
  const make = async (target: CallStep['function'], timeout: number) => {
    // Without a name, the id of the event is the idempotency key of the call.
    const config = { name: '', group: `postern.workflow.${name}`, function: target, timeout, concurrency };
    const invoker = await makeInvoker(config, bootstrapServers, 'any');
    return tracing === null ? invoker : tracedInvoker(invoker, tracing, config);
  };
  for (const step of calls) {
    doing.set(step.name, await make(step.function, step.timeout));
    if (step.undo !== null) undoing.set(step.name, await make(step.undo, step.timeout));
  }
  return {
    find: (step, undo) => (undo ? undoing : doing).get(step),
    async close() {
      await Promise.all([...doing.values(), ...undoing.values()].map((invoker) => invoker.close()));
    },
  };
}
