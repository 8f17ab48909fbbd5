import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fieldDefaults, JsonMerge } from '../../src/json/merge.ts';
import { eachMember, nameText } from '../../src/json/scan.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const parse = (text: string) => JSON.parse(text) as Record<string, unknown>;
const mergeOf = (text: string) => new JsonMerge(bytesOf(text), parse(text));
const defaults = (text: string) => fieldDefaults(bytesOf(text), parse(text));

function membersOf(text: string): { name: string; text: string }[] {
  const bytes = bytesOf(text);
  const members: { name: string; text: string }[] = [];
  eachMember(bytes, { start: 0, end: bytes.length }, (start, nameEnd, { end }) =>
    members.push({ name: nameText(bytes, start, nameEnd), text: textOf(bytes.subarray(start, end)) }),
  );
  return members;
}

/** JSON text as clients may write it: any white space, escapes, numbers that no double holds, names twice. */
const space = fc.constantFrom('', '', ' ', '\n\t', ' \r\n');
const scalar = fc.constantFrom(
  ...[
    'null',
    'true',
    '9007199254740993',
    '-0',
    '1.0',
    '1e400',
    '0.1234567890123456789',
    '""',
    '"}"',
    '"\\\\"',
  ],
  ...['"a\\"b"', '"\\ud83d"', '"é漢\u2028"', '"\\u0000"', '"{\\"x\\":[1,2}"', '{}', '[]', '[ ]', '{ }'],
);
// Without the name `\\`: V8 13 takes an escaped name of one character for it once it has seen it at the same place.
const name = fc.constantFrom(
  ...['a', 'b', 'context', 'timestamp', 'timestamp', '__proto__', 'constructor', 'toString', '', 'é', '0'],
  ...['\\u0061', 'time\\u0073tamp', 'con\\u0074ext', '\\"'],
);
const { object } = fc.letrec<{ object: string; value: string }>((tie) => ({
  object: fc
    .tuple(space, fc.array(fc.tuple(name, space, space, tie('value'), space, space), { maxLength: 5 }))
    .map(([inside, members]) => {
      const parts = members.map(([key, a, b, value, c, d]) => `${d}"${key}"${a}:${b}${value}${c}`);
      return `{${members.length === 0 ? inside : parts.join(',')}}`;
    }),
  value: fc.oneof(
    { maxDepth: 3 },
    scalar,
    tie('object'),
    fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(' , ')}]`),
  ),
}));

describe('a changed object', () => {
  it('C11 C12 parses to the changed value, and all other members keep their bytes and order', () => {
    fc.assert(
      fc.property(object, object, scalar, (text, below, value) => {
        const merge = mergeOf(text);
        merge.set('timestamp', JSON.parse(value), bytesOf(value));
        merge.set('added', 'x"y');
        merge.addDefaults('context', defaults(below));
        const after = textOf(merge.bytes());
        const again = parse(after);
        expect(isDeepStrictEqual(merge.json, again)).toBe(true);
        expect(JSON.stringify(merge.json)).toBe(JSON.stringify(again));
        expect(Object.getPrototypeOf(merge.json)).toBe(Object.prototype);
        const rest = (json: string) =>
          membersOf(json)
            .filter((member) => !['timestamp', 'added', 'context'].includes(member.name))
            .map((member) => member.text);
        expect(rest(after)).toEqual(rest(text));
      }),
      { numRuns: 2000, seed: 7 },
    );
  });

  it('C11 changes the one of two equal names that counts, and adds what is missing at the end', () => {
    const merge = mergeOf('{ "t":1 , "\\u0074" : 2, "u" :3 }');
    merge.set('t', 'new');
    merge.set('v', { deep: [1] });
    expect(textOf(merge.bytes())).toBe('{ "t":1 , "\\u0074" : "new", "u" :3 ,"v":{"deep":[1]}}');
    const empty = mergeOf('{ }');
    empty.set('a', 1);
    empty.set('b', 2);
    expect(textOf(empty.bytes())).toBe('{ "a":1,"b":2}');
    expect(textOf(mergeOf('{"n": 1.0}').bytes())).toBe('{"n": 1.0}');
  });
});

describe('the members that an object gets by default', () => {
  const merged = (text: string, below: string) => {
    const merge = mergeOf(text);
    merge.addDefaults('c', defaults(below));
    const after = textOf(merge.bytes());
    expect(isDeepStrictEqual(merge.json, parse(after))).toBe(true);
    return after;
  };
  const BELOW = '{"a":9007199254740993, "b" : {"x":1.0}}';

  it.each([
    ['absent', '{}', `{"c":${BELOW}}`],
    ['null', '{"c":null,"z":1}', `{"c":${BELOW},"z":1}`],
    ['empty', '{"c":{ }}', '{"c":{ "a":9007199254740993,"b" : {"x":1.0}}}'],
    ['an object', '{"c":{"b":{"y":2}},"z":1}', '{"c":{"b":{"y":2},"a":9007199254740993},"z":1}'],
    ['full', '{"c":{"b":0,"a":null}}', '{"c":{"b":0,"a":null}}'],
    ['text', '{"c":"t"}', '{"c":"t"}'],
    ['an array', '{"c":[1]}', '{"c":[1]}'],
    ['there twice', '{"c":{"a":1},"c":{"b":2}}', '{"c":{"a":1},"c":{"b":2,"a":9007199254740993}}'],
  ])('goes where the member is %s', (_, text, after) => {
    expect(merged(text, BELOW)).toBe(after);
  });

  it('C11 is data, whatever its names are', () => {
    expect(merged('{"c":{"x":1}}', '{"__proto__":{"admin":true},"constructor":1,"a":1,"a":2}')).toBe(
      '{"c":{"x":1,"__proto__":{"admin":true},"constructor":1,"a":2}}',
    );
    expect(merged('{"c":{"__proto__":null}}', '{"__proto__":{"admin":true}}')).toBe(
      '{"c":{"__proto__":null}}',
    );
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
    expect(merged('{"__proto__":{"c":{"own":1}}}', '{"a":1}')).toBe(
      '{"__proto__":{"c":{"own":1}},"c":{"a":1}}',
    );
  });
});

it.each([
  '{"a":1,}',
  '{,}',
  '{"a"1}',
  '{"a":}',
  '{"a":1 "b":2}',
  '{a:1}',
  '{"a":1,,"b":2}',
  '{"a" "b":1}',
  '{1:2}',
])('no members are found in %s', (text) => {
  expect(() => membersOf(text)).toThrow();
});
