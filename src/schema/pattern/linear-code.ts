import { RE2JS } from 're2js';
import type { LinearProgram, LinearStep } from './program.ts';

/** What the library keeps of an expression; its own types do not show it. */
interface Compiled {
  re2Input: {
    prog: { start: number; inst: { op: number; out: number; arg: number; runes: Int32Array }[] };
  };
}

const FOLDS_CASE = 1;
const LAST = 0x10ffff;

/**
 * The program of an expression in RE2's syntax, so that a bundle need not hold the library. Throws for what it
 * cannot say: letters in either case.
 */
export function programOf(expression: string): LinearProgram {
  const { prog } = (RE2JS.compile(expression) as unknown as Compiled).re2Input;
  const steps = prog.inst.map(({ op, out, arg, runes }): LinearStep => {
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
        return { ranges: [0, LAST], to: out };
      case 11: // RUNE_ANY_NOT_NL
        return { ranges: [0, 9, 11, LAST], to: out };
      default:
        throw new Error(`step ${op} of an expression is not known`);
    }
  });
  return { start: prog.start, steps };
}
