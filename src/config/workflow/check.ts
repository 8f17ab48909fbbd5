import type { Findings } from '../text/text.ts';
import type { CallStep, WaitStep, WorkflowConfig } from './types.ts';

/** Checks what only several settings of workflows together can tell. */
export function checkWorkflows(workflows: Iterable<WorkflowConfig>, findings: Findings): void {
  for (const workflow of workflows) {
    const { name, deadLetter, result } = workflow;
    const base = ['workflows', name];
    const progress = `workflow.${name}`;
    const read = new Set([...workflow.on.topics]);
    for (const [index, step] of workflow.steps.entries()) {
      if (!('waitFor' in step)) continue;
      for (const [place, topic] of step.waitFor.topics.entries()) {
        read.add(topic);
        if (topic === progress)
          findings.error(
            [...base, 'steps', index, 'waitFor', 'topics', place],
            `${topic} is its own progress`,
          );
      }
    }
    if (read.has(deadLetter))
      findings.error(
        [...base, 'deadLetter'],
        `${deadLetter} is among its own topics: failures would go round for ever`,
      );
    if (result !== null && workflow.on.topics.includes(result))
      findings.warn(
        [...base, 'result'],
        `${result} is among its own topics: it may go round until its hops end`,
      );
    if (workflow.on.topics.includes(progress) || result === progress || deadLetter === progress)
      findings.error(base, `${progress} is for its progress only`);
    for (const [path, step] of stepsOf(workflow)) checkStep([...base, ...path], step, findings);
  }
}

type Place = (string | number)[];

function* stepsOf({ steps }: WorkflowConfig): Generator<[Place, CallStep | WaitStep]> {
  for (const [index, step] of steps.entries()) {
    if (!('parallel' in step)) yield [['steps', index], step];
    else for (const [place, one] of step.parallel.entries()) yield [['steps', index, 'parallel', place], one];
  }
}

function checkStep(path: Place, step: CallStep | WaitStep, findings: Findings): void {
  if ('waitFor' in step) return;
  for (const which of ['function', 'undo'] as const) {
    const target = step[which];
    if (target === null) continue;
    if ('http' in target && target.http.mode === 'batch')
      findings.error([...path, which, 'http', 'mode'], 'cannot be batch: a step is one event');
    if ('lambda' in target && target.lambda.invoke === 'async')
      findings.error(
        [...path, which, 'lambda', 'invoke'],
        'cannot be async: nobody would know what came of it',
      );
  }
}
