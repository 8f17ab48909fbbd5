/** A problem of the config, a schema or an expression, as `postern check` lists it. */
export interface Problem {
  level: 'error' | 'warning';
  file: string;
  /** From 1; absent when it is not known. */
  line?: number;
  /** JSON Pointer into the file, such as `/sources/web/topic`. */
  pointer: string;
  message: string;
}

/** One line for people: `file:line pointer: message`. */
export function formatProblem(problem: Problem): string {
  const place = problem.line === undefined ? problem.file : `${problem.file}:${problem.line}`;
  return `${problem.level} ${place} ${problem.pointer || '/'}: ${problem.message}`;
}
