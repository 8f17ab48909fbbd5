import { ALL, codeText, LINE_ENDS, NONE, NOT_SPACE, propertyName, SPACE, timesText } from './re2-text.ts';

/**
 * The result of reading an ECMAScript pattern: the same pattern in RE2's syntax, and how much work a backtracking
 * engine can have with it.
 */
export interface PatternFacts {
  /** The same pattern for RE2. */
  re2: string;
  /** Every match begins at the start of the text. */
  anchored: boolean;
  /** Repetitions without a small limit that one attempt can go through. */
  loops: number;
  /** The most ways in which the rest of a pattern can be tried after a position. */
  ways: number;
  /** Length of the pattern with its repetitions written out. */
  size: number;
  /** A part that no linear engine can match, such as `a lookahead`; null when it has none. */
  hard: string | null;
}

type PatternPart = Omit<PatternFacts, 'hard'> & { single: boolean };

const CONTROLS: Record<string, number> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 };
/** A repetition of one character whose count varies by no more than this counts as ways, any other as a loop. */
const MAX_WAYS_OF_CHARACTER = 32;

/** Reads a pattern that is known to compile, with the u flag or without it. */
export function readPattern(pattern: string, unicode: boolean): PatternFacts {
  const chars = [...pattern];
  const groups = pattern.match(/\\.|\[(?:\\.|[^\]\\])*\]|\((?!\?)|\(\?<(?![=!])/gsu) ?? [];
  const captures = groups.filter((text) => text.startsWith('('));
  const named = captures.some((text) => text.length > 1);
  let at = 0;
  let hard: string | null = null;

  const part = (re2: string, more: Partial<PatternPart> = {}): PatternPart => ({
    re2,
    anchored: false,
    loops: 0,
    ways: 1,
    size: 1,
    single: false,
    ...more,
  });
  const rest = (count: number) => chars.slice(at, at + count).join('');
  const eat = (text: string): boolean => {
    const found = rest([...text].length) === text;
    if (found) at += [...text].length;
    return found;
  };
  const literal = (code: number) => part(codeText(code), { single: true });

  function alternatives(): PatternPart {
    const all = [sequence()];
    while (eat('|')) all.push(sequence());
    if (all.length === 1) return all[0]!;
    return part(`(?:${all.map((one) => one.re2).join('|')})`, {
      anchored: all.every((one) => one.anchored),
      loops: Math.max(...all.map((one) => one.loops)),
      ways: all.reduce((sum, one) => sum + one.ways, 0),
      size: all.reduce((sum, one) => sum + one.size, 0),
    });
  }

  function sequence(): PatternPart {
    const all: PatternPart[] = [];
    while (at < chars.length && chars[at] !== '|' && chars[at] !== ')') all.push(repeated(term()));
    return part(all.map((one) => one.re2).join(''), {
      anchored: all[0]?.anchored ?? false,
      loops: all.reduce((sum, one) => sum + one.loops, 0),
      ways: all.reduce((product, one) => product * one.ways, 1),
      size: all.reduce((sum, one) => sum + one.size, 1),
    });
  }

  function repeated(body: PatternPart): PatternPart {
    const [min, max] = quantifier() ?? [1, 1];
    if (min === 1 && max === 1) return body;
    const lazy = eat('?') ? '?' : '';
    const re2 = timesText(`(?:${body.re2})`, min, max, lazy);
    const size = body.size * Math.max(1, max === Infinity ? min : max);
    const anchored = body.anchored && min > 0;
    if (max <= 1) return part(re2, { ...body, re2, anchored, ways: body.ways + 1, single: false });
    if (body.loops > 0) return part(re2, { anchored, size, loops: Infinity });
    if (max === Infinity) return part(re2, { anchored, size, loops: body.ways === 1 ? 1 : Infinity });
    if (body.single && max - min > MAX_WAYS_OF_CHARACTER) return part(re2, { loops: 1 });
    let ways = 0;
    if (body.ways === 1) ways = max - min + 1;
    else for (let count = min; count <= max && ways < 1e9; count++) ways += body.ways ** count;
    return part(re2, { anchored, size, ways });
  }

  function quantifier(): [number, number] | null {
    if (eat('*')) return [0, Infinity];
    if (eat('+')) return [1, Infinity];
    if (eat('?')) return [0, 1];
    const braces = /^\{(\d+)(,(\d*))?\}/.exec(rest(24));
    if (!braces) return null;
    at += braces[0].length;
    const min = Number(braces[1]);
    return [min, braces[2] === undefined ? min : braces[3] ? Number(braces[3]) : Infinity];
  }

  function term(): PatternPart {
    const char = chars[at++]!;
    if (char === '^') return part('\\A', { anchored: true });
    if (char === '$') return part('\\z');
    if (char === '.') return part(`[^${LINE_ENDS}]`, { single: true });
    if (char === '(') return group();
    if (char === '[') return part(characterClass(), { single: true });
    if (char === '\\') return escaped();
    return literal(char.codePointAt(0)!);
  }

  function group(): PatternPart {
    let open = '(?:';
    if (eat('?=') || eat('?!')) hard = 'a lookahead';
    else if (eat('?<=') || eat('?<!')) hard = 'a lookbehind';
    else if (eat('?<')) at = chars.indexOf('>', at) + 1;
    else if (eat('?')) {
      open = '(?';
      while (chars[at - 1] !== ':') open += chars[at++];
    }
    const body = alternatives();
    at++;
    return { ...body, re2: `${open}${body.re2})`, single: false };
  }

  function escaped(): PatternPart {
    const char = chars[at]!;
    if (char === 'b' || char === 'B') {
      at++;
      return part(`\\${char}`);
    }
    if (/[1-9]/.test(char)) {
      const digits = /^\d+/.exec(rest(8))![0];
      if (unicode || Number(digits) <= captures.length) hard = 'a back-reference';
      else hard = 'an octal escape';
    }
    if (char === 'k' && (unicode || named)) hard = 'a back-reference';
    const set = setEscape();
    if (set !== null) return part(`[${set}]`, { single: true });
    return literal(codeEscape());
  }

  /** An escape for a set of characters, such as `\d`, as the inside of RE2's brackets; null for any other. */
  function setEscape(): string | null {
    const char = chars[at]!;
    if (/[dDwW]/.test(char)) {
      at++;
      return `\\${char}`;
    }
    if (char === 's' || char === 'S') {
      at++;
      return char === 's' ? SPACE : NOT_SPACE;
    }
    if (!unicode || (char !== 'p' && char !== 'P')) return null;
    const end = chars.indexOf('}', at);
    const name = propertyName(chars.slice(at + 2, end).join(''));
    at = end + 1;
    if (name === 'ASCII') return char === 'p' ? '\\x{0}-\\x{7f}' : '\\x{80}-\\x{10ffff}';
    return `\\${char}{${name}}`;
  }

  /** The code of an escape for one character; `at` is behind the backslash. */
  function codeEscape(): number {
    const char = chars[at++]!;
    if (char in CONTROLS) return CONTROLS[char]!;
    if (char === 'c' && /[A-Za-z]/.test(chars[at] ?? '')) return chars[at++]!.charCodeAt(0) % 32;
    const hex = (digits: RegExp, length: number): number | null => {
      const found = digits.exec(rest(length));
      if (!found) return null;
      at += found[0].length;
      return Number.parseInt(found[1]!, 16);
    };
    if (char === 'x') return hex(/^([\da-f]{2})/i, 2) ?? 120;
    if (char !== 'u') return char.codePointAt(0)!;
    const braced = unicode ? hex(/^\{([\da-f]+)\}/i, 12) : null;
    if (braced !== null) return braced;
    const high = hex(/^([\da-f]{4})/i, 4);
    if (high === null) return 117;
    if (high < 0xd800 || high > 0xdbff) return high;
    const low = hex(/^\\u(d[c-f][\da-f]{2})/i, 6);
    return low === null ? high : (high - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000;
  }

  function characterClass(): string {
    const negated = eat('^');
    let inside = '';
    while (chars[at] !== ']') {
      const from = classAtom();
      const range = chars[at] === '-' && chars[at + 1] !== ']' && chars[at + 1] !== undefined;
      if (!range || typeof from === 'string') {
        inside += typeof from === 'string' ? from : codeText(from);
        continue;
      }
      at++;
      const to = classAtom();
      inside += codeText(from) + (typeof to === 'string' ? `\\x{2d}${to}` : `-${codeText(to)}`);
    }
    at++;
    if (inside === '') return negated ? ALL : NONE;
    return `[${negated ? '^' : ''}${inside}]`;
  }

  function classAtom(): number | string {
    const char = chars[at++]!;
    if (char !== '\\') return char.codePointAt(0)!;
    if (chars[at] === 'b') {
      at++;
      return 8;
    }
    return setEscape() ?? codeEscape();
  }

  const { single: _, ...facts } = alternatives();
  return { ...facts, hard };
}
