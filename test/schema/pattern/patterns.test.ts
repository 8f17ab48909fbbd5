import fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import { Patterns } from '../../../src/schema/pattern/patterns.ts';
import { readPattern } from '../../../src/schema/pattern/syntax.ts';
import { check, compile, lines } from '../compiled.ts';

const engineOf = (pattern: string) => {
  const { matcher } = new Patterns().compile(pattern);
  return matcher === null ? 'none' : matcher instanceof RegExp ? 'native' : 're2';
};

describe('patterns', () => {
  it('C22 that are legal without the u flag only are read without it, with a warning', () => {
    const { set, problems } = compile({
      'dash.json': { pattern: '^dev\\-\\d{3}\\:' },
      'letters.json': { pattern: '\\p{L}+' },
      'broken.json': { properties: { a: { pattern: '(' } } },
      'names.json': { patternProperties: { '^x\\-': { type: 'number' }, 'a/(': {} } },
    });
    expect(set.names()).toEqual(['dash', 'letters']);
    expect(lines(problems)).toEqual([
      expect.stringMatching(/^warning dash\.json#\/pattern pattern is read without the u flag/),
      expect.stringMatching(/^error broken\.json#\/properties\/a\/pattern pattern is broken/),
      expect.stringMatching(/^warning names\.json#\/patternProperties\/\^x\\- pattern is read without/),
      expect.stringMatching(/^error names\.json#\/patternProperties\/a~1\( pattern is broken/),
    ]);
    expect(check({ pattern: '^dev\\-\\d{3}\\:' }, '"dev-123:x"')).toBeNull();
    expect(check({ pattern: '^\\p{L}+$' }, '"größe"')).toBeNull();
    expect(check({ pattern: '^\\p{L}+$' }, '"x1"')).toMatchObject([{ pointer: '#' }]);
  });

  it('C23 that could backtrack run on a linear engine', () => {
    for (const [pattern, long] of [
      ['^(a+)+$', 'a'.repeat(200_000)],
      ['^(\\w+\\s?)*$', 'ab '.repeat(70_000)],
      ['^(a|aa)+$', 'a'.repeat(200_000)],
      ['^(a?){40}a{40}$', 'a'.repeat(60)],
      ['\\d+x', '1'.repeat(200_000)],
      ['^\\S+@\\S+$', '@'.repeat(200_000)],
      ['(.*a){20}', 'b'.repeat(20_000)],
    ] as const) {
      expect(engineOf(pattern), pattern).toBe('re2');
      expect(check({ pattern }, JSON.stringify(`${long}!\n`))).not.toBeNull();
      expect(
        check({ patternProperties: { [pattern]: false } }, JSON.stringify({ [`${long}!\n`]: 1 })),
      ).toBeNull();
    }
  });

  it('C23 that cannot be matched in linear time are errors that say why', () => {
    const { set, problems } = compile({
      'a.json': { pattern: '^(?!x)' },
      'b.json': { pattern: '(?<=a)b' },
      'c.json': { pattern: '^(.)\\1$' },
      'd.json': { patternProperties: { '^(?<q>.)\\k<q>+$': {} } },
    });
    expect(set.names()).toEqual([]);
    expect(problems.map((problem) => problem.message)).toEqual([
      expect.stringContaining('a lookahead'),
      expect.stringContaining('a lookbehind'),
      expect.stringContaining('a back-reference'),
      expect.stringContaining('a back-reference'),
    ]);
  });

  it('C23 that are harmless run on the engine of the language', () => {
    for (const pattern of [
      '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
      '^[A-Z]{3}$',
      '^refs/(heads|tags)/.',
      '^[a-z][a-z0-9_]{0,63}$',
      '^.*\\.json$',
      '@',
      '^.{1,2000}$',
      '^\\d{1,3}(\\.\\d{1,3}){3}$',
    ]) {
      expect(engineOf(pattern), pattern).toBe('native');
    }
    expect(engineOf('x{1001}y{5,3000}z+')).toBe('re2');
  });

  it('know Unicode properties by their long names too', () => {
    for (const [name, text] of [
      ['Letter', 'é'],
      ['Lu', 'É'],
      ['gc=Uppercase_Letter', 'É'],
      ['Script=Greek', 'α'],
      ['sc=Cyrillic', 'ж'],
      ['ASCII', 'a'],
      ['Any', '😀'],
    ] as const) {
      const pattern = `^(\\p{${name}}+)+$`;
      expect(engineOf(pattern), name).toBe('re2');
      expect(check({ pattern }, JSON.stringify(text)), name).toBeNull();
      expect(check({ pattern: `^([\\P{${name}}-]+)+$` }, JSON.stringify(text)), name).not.toBeNull();
    }
  });

  it('mean the same to both engines', () => {
    const atom = fc.constantFrom(
      ...['a', 'b', '1', '-', '.', '\\d', '\\w', '\\s', '\\S', '[ab]', '[^a-c\\d]', '[\\s-]', '\\.', '\\n'],
      ...[
        '\\u0061',
        '\\x62',
        'é',
        '😀',
        '$',
        '^',
        '\\b',
        '\\B',
        '\\t',
        '[^]',
        '[]',
        '\\/',
        '(?:)',
        '[\\S]',
        '\\cJ',
      ],
    );
    const pattern = fc.letrec<{ all: string; one: string }>((tie) => ({
      all: fc.array(tie('one'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')),
      one: fc.oneof(
        { maxDepth: 3, withCrossShrink: true },
        atom,
        fc.tuple(atom, fc.constantFrom('*', '+', '?', '{2}', '{0,2}', '{1,}', '+?')).map(([a, q]) => {
          return `(?:${a})${q}`;
        }),
        tie('all').map((all) => `(${all})`),
        fc.tuple(tie('all'), tie('all')).map(([a, b]) => `(?:${a}|${b})`),
      ),
    })).all;
    const text = fc.string({
      unit: fc.constantFrom(
        'a',
        'b',
        'c',
        '1',
        '-',
        ' ',
        '\n',
        '\r',
        '\u2028',
        '\u00a0',
        'é',
        '😀',
        '_',
        '.',
      ),
      maxLength: 8,
    });
    fc.assert(
      fc.property(pattern, text, fc.boolean(), (source, value, unicode) => {
        // Without the u flag an astral character is two; that is the one difference.
        if (!unicode && /[^\u0000-\uffff]/u.test(source + value)) return;
        const linear = RE2JS.compile(readPattern(source, unicode).re2);
        expect(linear.test(value)).toBe(new RegExp(source, unicode ? 'u' : '').test(value));
      }),
      { numRuns: 3000 },
    );
  });
});
