import type { EventError } from '../../src/core/event.ts';
import type { Problem } from '../../src/core/problem.ts';
import { compileSchemas } from '../../src/schema/compile.ts';
import { ErrorBudget, type SchemaSet } from '../../src/schema/registry.ts';

/** Compiles schemas given as values, by path. */
export function compile(files: Record<string, unknown>): { set: SchemaSet; problems: Problem[] } {
  return compileSchemas(
    Object.entries(files).map(([path, schema]) => ({ path, text: JSON.stringify(schema) })),
  );
}

/** Errors of a payload, given as JSON text, against a schema that must compile. */
export function check(schema: unknown, json: string): EventError[] | null {
  const { set, problems } = compile({ 'one.json': schema });
  const validator = set.find('one');
  if (!validator) throw new Error(problems.map((problem) => problem.message).join('; '));
  return validator.check(JSON.parse(json), json.length, new ErrorBudget());
}

/** Level, file, pointer and message of each problem, for short expectations. */
export function lines(problems: Problem[]): string[] {
  return problems.map(({ level, file, pointer, message }) => `${level} ${file}#${pointer} ${message}`);
}
