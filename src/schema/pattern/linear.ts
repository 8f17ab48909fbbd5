import { RE2JS } from 're2js';
import type { LinearProgram, LinearStep } from './program.ts';

/** Matches in time linear to the text. The one file that knows the re2js library. */
export class LinearMatcher {
  readonly #expression: string;
  readonly #engine: RE2JS;

  /** `expression`: in RE2's syntax. Throws an Error when it is not. */
  constructor(expression: string) {
    this.#expression = expression;
    this.#engine = RE2JS.compile(expression);
  }

  test(text: string): boolean {
    return this.#engine.test(text);
  }

  /** Different for different patterns: ajv finds a pattern's code by it. */
  toString(): string {
    return `re2:${this.#expression}`;
  }

  /**
   * The compiled expression as data, so that an edge bundle need not hold re2js. Throws an Error for letters that
   * match in either case, as a `LinearProgram` cannot say that. `re2Input.prog` is a private part of re2js:
   * program.test.ts compares both ways of matching, and fails when it changes.
   */
  program(): LinearProgram {
    const { prog } = (this.#engine as unknown as PrivateParts).re2Input;
    return { start: prog.start, steps: prog.inst.map(stepOf) };
  }
}

interface PrivateParts {
  re2Input: { prog: { start: number; inst: Instruction[] } };
}

interface Instruction {
  op: number;
  out: number;
  arg: number;
  runes: Int32Array;
}

const FOLDS_CASE = 1;
const LAST_CODE_POINT = 0x10ffff;

function stepOf({ op, out, arg, runes }: Instruction): LinearStep {
  switch (op) {
    case 1: // ALT
    case 2: // ALT_MATCH
      return { go: [out, arg] };
    case 3: // CAPTURE
    case 7: // NOP
      return { go: [out] };
    case 4: // EMPTY_WIDTH
      return { holds: arg, go: [out] };
    case 5: // FAIL
      return { go: [] };
    case 6: // MATCH
      return { match: true };
    case 8: // RUNE
    case 9: // RUNE1
      if (runes.length === 1 && (arg & FOLDS_CASE) !== 0) throw new Error('letters in either case');
      return { ranges: runes.length === 1 ? [runes[0]!, runes[0]!] : [...runes], to: out };
    case 10: // RUNE_ANY
      return { ranges: [0, LAST_CODE_POINT], to: out };
    case 11: // RUNE_ANY_NOT_NL
      return { ranges: [0, 9, 11, LAST_CODE_POINT], to: out };
    default:
      throw new Error(`step ${op} of an expression is not known`);
  }
}
