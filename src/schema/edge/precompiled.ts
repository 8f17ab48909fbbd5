import { formatChecks } from '../formats.ts';
import { KEYWORD_CHECKS } from '../keyword-checks.ts';
import { type LinearProgram, ProgramMatcher } from '../pattern/program.ts';
import {
  type CheckFunction,
  createSchemaSet,
  createValidator,
  type Fuel,
  FuelSpent,
  type PlainSchemas,
  type SchemaSet,
} from '../registry.ts';
import * as forms from './short-forms.ts';

/** The names that the code of compiled schemas refers to. */
interface Surroundings {
  regExp(pattern: string): { test(text: string): boolean };
  formats: Record<string, (text: string) => boolean>;
  burn(): void;
  checks: typeof KEYWORD_CHECKS;
  forms: typeof forms;
}

/** Makes the functions of several schemas, by key. */
type Functions = (surroundings: Surroundings) => Record<string, CheckFunction>;

/** Schemas that were compiled at build time, as the bundle holds them. */
export interface Precompiled {
  validators: { name: string; id: string | null; key: string; first: number; all: number }[];
  functions: Functions[];
  /** How each pattern is matched: by a regular expression of the language, or by a program in time linear to the text. */
  patterns: [pattern: string, how: RegExp | LinearProgram][];
  plain: { keys: [string, string][]; schemas: [string, Record<string, unknown>][] };
}

/** The set of schemas for runtimes that do not allow a program to make code. */
export function precompiledSet({ validators, functions, patterns, plain }: Precompiled): SchemaSet {
  const fuel: Fuel = { left: 0 };
  const matchers = new Map(
    patterns.map(([pattern, how]) => [pattern, how instanceof RegExp ? how : new ProgramMatcher(how)]),
  );
  const surroundings: Surroundings = {
    regExp: (pattern) => matchers.get(pattern)!,
    formats: Object.fromEntries(formatChecks()),
    burn() {
      if (--fuel.left < 0) throw new FuelSpent();
    },
    checks: KEYWORD_CHECKS,
    forms,
  };
  const made: Record<string, CheckFunction>[] = [];
  const functionOf = (index: number, key: string): CheckFunction => {
    made[index] ??= functions[index]!(surroundings);
    return made[index][key]!;
  };
  const known: PlainSchemas = { keys: new Map(plain.keys), schemas: new Map(plain.schemas) };
  return createSchemaSet(
    validators.map(({ name, id, key, first, all }) =>
      createValidator({
        name,
        id,
        first: functionOf(first, key),
        all: () => functionOf(all, key),
        fuel,
      }),
    ),
    // Only the OpenAPI document asks, and always for the same names.
    () => known,
  );
}
