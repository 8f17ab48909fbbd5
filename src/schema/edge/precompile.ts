import type { Problem } from '../../core/problem.ts';
import { compileSchemas, type MadeValidator, type SchemaFile } from '../compile.ts';
import type { Engine } from '../engine.ts';
import { LinearMatcher, type Matcher } from '../pattern/linear.ts';
import { programOf } from '../pattern/linear-code.ts';
import { Patterns } from '../pattern/patterns.ts';
import type { PlainSchemas, SchemaSet } from '../registry.ts';
import { shrink } from './shrink.ts';

export interface Precompilation {
  set: SchemaSet;
  problems: Problem[];
  /** Code of a `Precompiled`, an expression. Throws when a pattern cannot be had as a program. */
  code(plain: PlainSchemas): string;
}

/** Compiles schemas to code, for runtimes that allow none to be made. */
export function precompileSchemas(files: readonly SchemaFile[]): Precompilation {
  const patterns = new Patterns();
  const made: MadeValidator[] = [];
  const ahead = { patterns, add: (one: MadeValidator) => void made.push(one) };
  const { set, problems } = compileSchemas(files, { ahead });
  return {
    set,
    problems,
    code: (plain) => codeOf(made, patterns.matchers(), plain),
  };
}

function codeOf(
  made: MadeValidator[],
  matchers: [pattern: string, matcher: Matcher][],
  plain: PlainSchemas,
): string {
  const engines = [...new Set(made.flatMap(({ first, all }) => [first, all]))];
  const keysOf = (engine: Engine) =>
    made.filter(({ first, all }) => first === engine || all === engine).map(({ key }) => key);
  const validators = made.map(({ name, id, key, first, all }) => ({
    name,
    id,
    key,
    first: engines.indexOf(first),
    all: engines.indexOf(all),
  }));
  return `{
validators: ${JSON.stringify(validators)},
functions: [${engines.map((engine) => functionsOf(shrink(engine.source(keysOf(engine))))).join(',\n')}],
patterns: [${matchers.map(([pattern, matcher]) => `[${JSON.stringify(pattern)}, ${howOf(pattern, matcher)}]`).join(', ')}],
plain: JSON.parse(${JSON.stringify(JSON.stringify({ keys: [...plain.keys], schemas: [...plain.schemas] }))}),
}`;
}

function functionsOf(code: string): string {
  return `({ regExp, formats, burn, checks: { oneOfValues, areUnique, multipleOf, atMost, atLeast }, forms: { has, isObject, fault, add, fail } }) => {
const exports = {};
${code}
return exports;
}`;
}

function howOf(pattern: string, matcher: Matcher): string {
  if (!(matcher instanceof LinearMatcher)) {
    const { source, flags } = matcher as RegExp;
    return `new RegExp(${JSON.stringify(source)}, ${JSON.stringify(flags)})`;
  }
  try {
    return JSON.stringify(programOf(matcher.expression));
  } catch (error) {
    throw new Error(`pattern ${pattern} cannot be compiled ahead: ${(error as Error).message}`);
  }
}
