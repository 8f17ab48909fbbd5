import type { Findings, Path } from '../config/text/text.ts';
import type { CallStep, WaitStep, WorkflowConfig } from '../config/workflow/types.ts';
import { filterProblem } from '../filter/filter.ts';
import { waitProblem } from './wait.ts';
import { whenProblem } from './when.ts';

/** Checks the expressions of a workflow. */
export function checkExpressions({ name, on, steps }: WorkflowConfig, findings: Findings): void {
  const base: Path = ['workflows', name];
  const note = (path: Path, problem: string | null) => {
    // Further lines of the message draw the expression and a caret.
    if (problem !== null) findings.error(path, `is not right: ${problem.split('\n')[0]}`);
  };
  const check = (path: Path, step: CallStep | WaitStep) => {
    if (step.when !== null) note([...path, 'when'], whenProblem(step.when));
    if ('waitFor' in step) note([...path, 'waitFor', 'filter'], waitProblem(step.waitFor.filter));
  };
  if (on.filter !== null) note([...base, 'on', 'filter'], filterProblem(on.filter));
  for (const [index, step] of steps.entries()) {
    const path = [...base, 'steps', index];
    if ('parallel' in step)
      for (const [member, one] of step.parallel.entries()) check([...path, 'parallel', member], one);
    else check(path, step);
  }
}
