import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isJson } from '../../src/json/is-json.ts';

/** What JSON.parse says of the bytes. */
function isParsed(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    return true;
  } catch {
    return false;
  }
}

const PIECES = [
  ...[
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    ' ',
    '\n',
    '\t',
    '\r',
    '\f',
    '-',
    '+',
    '.',
    'e',
    'E',
    '0',
    '1',
    '12',
  ],
  ...[
    'true',
    'false',
    'null',
    'tru',
    'nul',
    '"a":',
    '"b"',
    '\\n',
    '\\u00e4',
    '\\u12',
    '\\x',
    'ä',
    '\u0000',
    '\ufeff',
  ],
];

describe('isJson', () => {
  test('takes whatever is JSON, however it is written', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6, noUnicodeString: false }), fc.boolean(), (text, spaced) => {
        const sent = spaced ? ` ${JSON.stringify(JSON.parse(text), null, '\t')}\r\n` : text;
        expect(isJson(Buffer.from(sent))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('says of JSON with one byte changed, left out or cut off what JSON.parse says', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 3 }), fc.nat(), fc.nat(255), fc.nat(2), (text, place, byte, how) => {
        const sent = Buffer.from(text);
        const at = place % sent.length;
        const rest = how === 0 ? [Buffer.from([byte]), sent.subarray(at + 1)] : [sent.subarray(at + 1)];
        const changed = how === 2 ? sent.subarray(0, at) : Buffer.concat([sent.subarray(0, at), ...rest]);
        expect([isJson(changed), changed.toString('latin1')]).toEqual([
          isParsed(changed),
          changed.toString('latin1'),
        ]);
      }),
      { numRuns: 5_000 },
    );
  });

  test('says of pieces of JSON in any order what JSON.parse says', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }), (pieces) => {
        const text = pieces.join('');
        expect([isJson(Buffer.from(text)), text]).toEqual([isParsed(Buffer.from(text)), text]);
      }),
      { numRuns: 20_000 },
    );
  });

  test('takes any depth, and refuses what is not closed', () => {
    for (const depth of [29, 30, 31, 32, 33, 5_000]) {
      for (const [open, close] of [
        ['[', ']'],
        ['{"a":', '}'],
      ] as const) {
        const text = `${open.repeat(depth)}1${close.repeat(depth)}`;
        expect(isJson(Buffer.from(text))).toBe(true);
        expect(isJson(Buffer.from(`${text}${close}`))).toBe(false);
        expect(isJson(Buffer.from(text.slice(0, -1)))).toBe(false);
      }
    }
  });

  test('refuses bytes that are no UTF-8, in strings too', () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc3, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0xef, 0xbb, 0xbf, 0x31],
      [],
    ])
      expect(isJson(Uint8Array.from(bytes))).toBe(false);
  });
});
