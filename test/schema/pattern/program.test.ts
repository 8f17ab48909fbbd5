import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LinearMatcher } from '../../../src/schema/pattern/linear.ts';
import { ProgramMatcher } from '../../../src/schema/pattern/program.ts';
import { readPattern } from '../../../src/schema/pattern/syntax.ts';

const PATTERNS = [
  '^(a+)+$',
  '(a|b)*c',
  '^[^/]+/[^/]+$',
  '\\bab\\b',
  'a\\Bb',
  '^\\p{L}{2,3}$',
  '(ab|c)?d{2,}',
  '.+x.+',
  '^$',
  '',
  '[^]',
  '[\\s\\S]*b',
  '^[\\u{1f600}-\\u{1f64f}]+$',
];
const letters = fc.constantFrom('a', 'b', 'c', 'd', 'x', '/', ' ', '\n', 'é', '_', '😀', '\ud83d');

it.each(PATTERNS)('a program of %s matches what the pattern does', (pattern) => {
  const { re2 } = readPattern(pattern, true);
  const matcher = new ProgramMatcher(new LinearMatcher(re2).program());
  const engine = new LinearMatcher(re2);
  const native = new RegExp(pattern, 'u');
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 8 }), (parts) => {
      const text = parts.join('');
      expect(matcher.test(text)).toBe(native.test(text));
      expect(engine.test(text)).toBe(native.test(text));
    }),
    { numRuns: 300 },
  );
});

it('needs time linear to the text', () => {
  const matcher = new ProgramMatcher(new LinearMatcher(readPattern('^(a|a?)+b$', true).re2).program());
  expect(matcher.test('a'.repeat(100_000))).toBe(false);
  expect(matcher.test(`${'a'.repeat(100_000)}b`)).toBe(true);
});

it('says what it cannot be', () => {
  expect(() => new LinearMatcher('(?i:a)').program()).toThrow('letters in either case');
});
