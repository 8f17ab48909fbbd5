import type { Findings } from '../text/findings.ts';
import type { Path } from '../text/path.ts';
import { type CallStep, callsOf, type WorkflowConfig } from './types.ts';

/** Checks settings of workflows against each other. */
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
            `${topic} is the workflow's own progress topic`,
          );
      }
    }
    if (read.has(deadLetter))
      findings.error(
        [...base, 'deadLetter'],
        `${deadLetter} is among its own topics, so failed events would go round for ever`,
      );
    if (result !== null && workflow.on.topics.includes(result))
      findings.warn(
        [...base, 'result'],
        `${result} is among its own topics, so an event may go round until it reaches the limit of hops`,
      );
    if (workflow.on.topics.includes(progress) || result === progress || deadLetter === progress)
      findings.error(base, `${progress} is only for the workflow's progress`);
    for (const [path, call] of callsOf(workflow)) checkCall(path, call, findings);
  }
}

function checkCall(path: Path, step: CallStep, findings: Findings): void {
  for (const which of ['function', 'undo'] as const) {
    const target = step[which];
    if (target === null) continue;
    if ('http' in target && target.http.mode === 'batch')
      findings.error([...path, which, 'http', 'mode'], 'cannot be batch, because a step is one event');
    if ('lambda' in target && target.lambda.invoke === 'async')
      findings.error(
        [...path, which, 'lambda', 'invoke'],
        'cannot be async, because such a call has no result',
      );
  }
}
