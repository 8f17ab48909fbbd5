import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson } from '../../src/json/parse.ts';

describe('parseJson', () => {
  test('names members right whatever was parsed before', () => {
    // Each of the first makes V8 expect the name in the place of the second's, where it compares the text unread.
    for (const [before, text, names] of [
      ['{"a":1,"\\\\":2}', '{"a":1,"\\u0062":2}', ['a', 'b']],
      ['{"c":1,"\\\\u0":2}', '{"c":1,"\\u00e4bc":2}', ['c', 'äbc']],
      ['{"d":1,"\\\\":{}}', '{ "d" : 1, "\\u0062" \n : { "\\u0063" : [ "\\u0064" ] } }', ['d', 'b']],
    ] as const) {
      parseJson(before);
      expect(Object.keys(parseJson(text) as object)).toEqual(names);
    }
  });

  test('is JSON.parse for all else', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.boolean(), (text, spaced) => {
        const sent = spaced ? JSON.stringify(JSON.parse(text), null, '\t') : text;
        expect(parseJson(sent)).toEqual(JSON.parse(sent));
      }),
      { numRuns: 500 },
    );
    const odd = '{"a\\"b":"c\\":","\\u0000":"\\\\","__proto__":{"\\ud83d":1},"a":"\\u0061\\":"}';
    expect(JSON.stringify(parseJson(odd))).toBe(JSON.stringify(JSON.parse(odd)));
  });

  test('refuses what is no JSON, as JSON.parse does', () => {
    for (const text of [
      '{"a\\":1}',
      '{"\\x":1}',
      '{"\\u12":1}',
      '{"a":"\\',
      '"\\',
      '{"a\\u0062":}',
      '\\',
      '["\\u0061":1]',
    ]) {
      expect(() => JSON.parse(text)).toThrow(SyntaxError);
      expect(() => parseJson(text)).toThrow(SyntaxError);
    }
  });
});
