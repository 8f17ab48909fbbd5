/**
 * A compiled pattern as data: for each step where it goes on, or what must be there. Steps are named by their
 * places.
 */
export interface LinearProgram {
  start: number;
  steps: LinearStep[];
}

export type LinearStep =
  | { go: number[] }
  /** Flags of what must hold between two characters, as RE2 numbers them. */
  | { holds: number; go: number[] }
  /** Pairs of first and last code points. */
  | { ranges: number[]; to: number }
  | { match: true };

const BEGIN_LINE = 1;
const END_LINE = 2;
const BEGIN_TEXT = 4;
const END_TEXT = 8;
const WORD_BOUNDARY = 16;
const NO_WORD_BOUNDARY = 32;

/** Runs a program over a text in time linear to it: all ways at once, character by character. */
export class ProgramMatcher {
  readonly #program: LinearProgram;

  constructor(program: LinearProgram) {
    this.#program = program;
  }

  test(text: string): boolean {
    const { start, steps } = this.#program;
    // Where each step has been taken last, so that none is taken twice at one place.
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
        const place = open.pop()!;
        if (taken[place] === at) continue;
        taken[place] = at;
        const step = steps[place]!;
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
