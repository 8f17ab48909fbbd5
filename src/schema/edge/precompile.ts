import type { Problem } from '../../core/problem.ts';
import { compileSchemas, type SchemaFile } from '../compile.ts';
import type { Engine } from '../engine.ts';
import { LinearMatcher } from '../pattern/linear.ts';
import { type Matcher, Patterns } from '../pattern/patterns.ts';
import type { PlainSchemas, SchemaSet } from '../registry.ts';
import type { MadeValidator } from '../validators.ts';
import { shrink } from './shrink.ts';

export interface Precompilation {
  set: SchemaSet;
  problems: Problem[];
  /** A JavaScript expression whose value is a `Precompiled`. Throws an Error when a pattern cannot be a program. */
  code(plain: PlainSchemas): string;
}

/** Compiles schemas to code, for runtimes that do not allow a program to make code. */
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
  return `({ regExp, formats, burn, checks, forms: { has, isObject, fault, add, fail } }) => {
const exports = {};
${code}
return exports;
}`;
}

function howOf(pattern: string, matcher: Matcher): string {
  if (!(matcher instanceof LinearMatcher)) {
    const { source, flags } = matcher;
    return `new RegExp(${JSON.stringify(source)}, ${JSON.stringify(flags)})`;
  }
  try {
    return JSON.stringify(matcher.program());
  } catch (error) {
    throw new Error(`pattern ${pattern} cannot be compiled ahead: ${(error as Error).message}`);
  }
}
