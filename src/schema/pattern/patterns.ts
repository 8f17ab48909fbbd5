import { LinearMatcher } from './linear.ts';
import { type PatternFacts, readPattern } from './syntax.ts';

/** The engine of the language where that is harmless, else one that needs time linear to the text. */
export type Matcher = RegExp | LinearMatcher;

export interface CompiledPattern {
  /** Null when the pattern cannot be used. */
  matcher: Matcher | null;
  /** Why the pattern cannot be used, or a doubt about it; null when all is well. */
  problem: string | null;
}

/** Compiles each different pattern once. */
export class Patterns {
  readonly #known = new Map<string, CompiledPattern>();

  compile(pattern: string): CompiledPattern {
    let compiled = this.#known.get(pattern);
    if (compiled === undefined) {
      compiled = compilePattern(pattern);
      this.#known.set(pattern, compiled);
    }
    return compiled;
  }

  /** All patterns that were compiled and can be used. */
  matchers(): [pattern: string, matcher: Matcher][] {
    return [...this.#known].flatMap(([pattern, { matcher }]) =>
      matcher === null ? [] : [[pattern, matcher]],
    );
  }
}

function compilePattern(pattern: string): CompiledPattern {
  let native = build(pattern, 'u');
  let problem: string | null = null;
  if (!(native instanceof RegExp)) {
    const reason = native;
    native = build(pattern, '');
    if (!(native instanceof RegExp)) return { matcher: null, problem: `pattern is broken: ${native}` };
    problem = `pattern is read without the u flag, because with it: ${reason}`;
  }
  const facts = readPattern(pattern, native.unicode);
  if (facts.hard !== null) {
    return {
      matcher: null,
      problem: `pattern has ${facts.hard}, which cannot be matched in time linear to the text`,
    };
  }
  if (isLinear(facts)) return { matcher: native, problem };
  try {
    return { matcher: new LinearMatcher(facts.re2), problem };
  } catch (error) {
    const reason =
      error instanceof Error ? error.message.replace(/^error parsing regexp: /, '') : String(error);
    return {
      matcher: null,
      problem: `pattern could need more than linear time, and the linear engine cannot read it: ${reason}`,
    };
  }
}

function build(pattern: string, flags: string): RegExp | string {
  try {
    return new RegExp(pattern, flags);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Whether a backtracking engine needs only time linear to the text. It does when it can go on in few ways from each
 * position: with at most one loop after `^`, or without loops, each way leads to a position only once.
 */
function isLinear(facts: PatternFacts): boolean {
  const work = facts.ways * facts.size;
  if (facts.anchored) return facts.loops === 0 ? work <= 20_000 : facts.loops === 1 && work <= 256;
  return facts.loops === 0 && work <= 256;
}
