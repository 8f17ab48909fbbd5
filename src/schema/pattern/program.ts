/** A compiled pattern as data: the steps of a non-deterministic automaton, which name each other by index. */
export interface LinearProgram {
  start: number;
  steps: LinearStep[];
}

export type LinearStep =
  | { go: number[] }
  /** Goes on where these conditions hold between two characters: flags, as RE2 numbers them. */
  | { holds: number; go: number[] }
  /** Goes on after one character of these ranges: pairs of first and last code points. */
  | { ranges: number[]; to: number }
  | { match: true };

const BEGIN_LINE = 1;
const END_LINE = 2;
const BEGIN_TEXT = 4;
const END_TEXT = 8;
const WORD_BOUNDARY = 16;
const NO_WORD_BOUNDARY = 32;

/** Matches a text in time linear to it: follows all ways through the program at once, character by character. */
export class ProgramMatcher {
  readonly #program: LinearProgram;

  constructor(program: LinearProgram) {
    this.#program = program;
  }

  test(text: string): boolean {
    const { start, steps } = this.#program;
    // The position at which each step was taken last, so that no step is taken twice at one position.
    const taken = new Int32Array(steps.length).fill(-1);
    let before = -1;
    let open: number[] = [];
    for (let at = 0; ; ) {
      const code = text.codePointAt(at) ?? -1;
      const flags = flagsBetween(before, code);
      // A match may begin anywhere.
      open.push(start);
      const next: number[] = [];
      while (open.length > 0) {
        const index = open.pop()!;
        if (taken[index] === at) continue;
        taken[index] = at;
        const step = steps[index]!;
        if ('match' in step) return true;
        if ('ranges' in step) {
          if (isIn(step.ranges, code)) next.push(step.to);
        } else if (!('holds' in step) || (step.holds & ~flags) === 0) open.push(...step.go);
      }
      if (code === -1) return false;
      open = next;
      before = code;
      at += code > 0xffff ? 2 : 1;
    }
  }
}

function flagsBetween(before: number, after: number): number {
  let flags = isWord(before) === isWord(after) ? NO_WORD_BOUNDARY : WORD_BOUNDARY;
  if (before === -1) flags |= BEGIN_TEXT;
  if (after === -1) flags |= END_TEXT;
  if (before === -1 || before === 10) flags |= BEGIN_LINE;
  if (after === -1 || after === 10) flags |= END_LINE;
  return flags;
}

function isWord(code: number): boolean {
  return (code > 47 && code < 58) || (code > 64 && code < 91) || code === 95 || (code > 96 && code < 123);
}

function isIn(ranges: number[], code: number): boolean {
  let low = 0;
  let high = ranges.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (code < ranges[2 * middle]!) high = middle;
    else if (code > ranges[2 * middle + 1]!) low = middle + 1;
    else return true;
  }
  return false;
}
