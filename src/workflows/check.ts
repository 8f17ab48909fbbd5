import type { Findings } from '../config/text/findings.ts';
import type { Path } from '../config/text/path.ts';
import type { CallStep, WaitStep, WorkflowConfig } from '../config/workflow/types.ts';
import { compileFilter } from '../filter/filter.ts';
import { compileWait } from './wait.ts';
import { compileWhen } from './when.ts';

/** Checks the expressions of a workflow. */
export function checkExpressions({ name, on, steps }: WorkflowConfig, findings: Findings): void {
  const base: Path = ['workflows', name];
  const compile = (path: Path, text: string, compiler: (text: string) => unknown) => {
    try {
      compiler(text);
    } catch (error) {
      // Further lines of the message draw the expression and a caret.
      findings.error(path, `is not right: ${(error as Error).message.split('\n')[0]}`);
    }
  };
  const check = (path: Path, { when, ...step }: CallStep | WaitStep) => {
    if (when !== null) compile([...path, 'when'], when, compileWhen);
    if ('waitFor' in step) compile([...path, 'waitFor', 'filter'], step.waitFor.filter, compileWait);
  };
  if (on.filter !== null) compile([...base, 'on', 'filter'], on.filter, compileFilter);
  for (const [index, step] of steps.entries()) {
    const path = [...base, 'steps', index];
    if ('parallel' in step)
      for (const [member, one] of step.parallel.entries()) check([...path, 'parallel', member], one);
    else check(path, step);
  }
}
