import type { Findings } from '../config/text/findings.ts';
import type { Path } from '../config/text/path.ts';
import type { CallStep, WaitStep, WorkflowConfig } from '../config/workflow/types.ts';
import { filterProblem } from '../filter/filter.ts';
import { waitProblem } from './wait.ts';
import { whenProblem } from './when.ts';

/** Checks the expressions of a workflow. */
export function checkExpressions({ name, on, steps }: WorkflowConfig, findings: Findings): void {
  const base: Path = ['workflows', name];
  const say = (path: Path, problem: string | null) => {
    // Its further lines draw the expression and a caret.
    if (problem !== null) findings.error(path, `is not right: ${problem.split('\n')[0]}`);
  };
  const check = (path: Path, step: CallStep | WaitStep) => {
    if (step.when !== null) say([...path, 'when'], whenProblem(step.when));
    if ('waitFor' in step) say([...path, 'waitFor', 'filter'], waitProblem(step.waitFor.filter));
  };
  if (on.filter !== null) say([...base, 'on', 'filter'], filterProblem(on.filter));
  for (const [index, step] of steps.entries()) {
    const path = [...base, 'steps', index];
    if ('parallel' in step)
      for (const [place, one] of step.parallel.entries()) check([...path, 'parallel', place], one);
    else check(path, step);
  }
}
