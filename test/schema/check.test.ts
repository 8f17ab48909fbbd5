import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventError } from '../../src/core/event.ts';
import { describe as describeFault, toEventErrors } from '../../src/schema/faults.ts';
import { ErrorBudget } from '../../src/schema/registry.ts';
import { check, compile } from './compiled.ts';

const at = (pointer: string, detail: string): EventError => ({ code: 'schema_mismatch', pointer, detail });

describe('names', () => {
  it('C25 only own members count', () => {
    expect(check({ required: ['valueOf'] }, '{}')).toEqual([at('#/valueOf', 'is required')]);
    expect(check({ required: ['valueOf'] }, '{"valueOf":1}')).toBeNull();
    expect(check({ properties: { constructor: { type: 'number' } } }, '{}')).toBeNull();
    expect(check({ properties: { constructor: { type: 'number' } } }, '{"constructor":"x"}')).toEqual([
      at('#/constructor', 'must be number'),
    ]);
    expect(check({ dependentRequired: { hasOwnProperty: ['toString'] } }, '{}')).toBeNull();
    expect(check({ dependentRequired: { hasOwnProperty: ['toString'] } }, '{"hasOwnProperty":1}')).toEqual([
      at('#/toString', 'is required beside "hasOwnProperty"'),
    ]);
    expect(check({ dependentSchemas: { toString: false } }, '{}')).toBeNull();
    expect(check({ $ref: '#/$defs/toString', $defs: { toString: { type: 'number' } } }, '1')).toBeNull();
    expect(() => check({ $ref: '#/constructor' }, '1')).toThrow('points to nothing');
  });

  it('C25 __proto__ is a name like others, in payloads and in schemas', () => {
    const json = '{"__proto__":1}';
    expect(check({ additionalProperties: false }, json)).toEqual([at('#/__proto__', 'is not allowed')]);
    expect(check({ required: ['__proto__'] }, '{}')).toEqual([at('#/__proto__', 'is required')]);
    expect(check({ required: ['__proto__'] }, json)).toBeNull();
    expect(check({ propertyNames: { maxLength: 3 } }, json)).not.toBeNull();
    const schema = (text: string) => JSON.parse(text) as unknown;
    const named = schema('{"properties":{"__proto__":{"type":"string"}},"additionalProperties":false}');
    expect(check(named, json)).toEqual([at('#/__proto__', 'must be string')]);
    expect(check(named, '{"__proto__":"x"}')).toBeNull();
    const dependent = schema('{"dependentRequired":{"__proto__":["a"]}}');
    expect(check(dependent, json)).not.toBeNull();
    expect(check(dependent, '{}')).toBeNull();
    expect(check({ maxProperties: 0 }, json)).not.toBeNull();
  });

  it('C25 members named like methods are compared, not called', () => {
    const json = '{"valueOf":1,"toString":null,"constructor":{"name":"Date"}}';
    expect(check({ const: {} }, json)).not.toBeNull();
    expect(check({ enum: [{ valueOf: 2 }, 1] }, json)).not.toBeNull();
    expect(check({ const: JSON.parse(json) as unknown }, json)).toBeNull();
    expect(check({ uniqueItems: true }, `[${json},{},${json}]`)).not.toBeNull();
  });
});

describe('values', () => {
  it('C26 date-time, date and time are those of RFC 3339', () => {
    const right = [
      '2026-03-01T10:00:00Z',
      '2026-03-01t10:00:00.123456z',
      '2026-03-01T10:00:00+05:30',
      '2024-02-29T00:00:00-00:00',
      '2016-12-31T23:59:60Z',
      '2017-01-01T00:59:60+01:00',
      '2016-12-31T15:59:60.5-08:00',
    ];
    const wrong = [
      '2026-03-01T10:00:00+0100',
      '2026-03-01T10:00:00+05',
      '2026-03-01T10:60:00+00:01',
      '2026-02-30T00:00:00Z',
      '2023-02-29T00:00:00Z',
      '1900-02-29T00:00:00Z',
      '2026-03-01 10:00:00Z',
      '2026-03-01T10:00:00',
      '2026-03-01T24:00:00Z',
      '2026-03-01T10:00:60Z',
      '2016-12-31T23:59:60+01:00',
      '2026-03-01T10:00:00.Z',
      '2026-03-01T10:00:00Z\n',
      '2026-13-01T10:00:00Z',
      '2026-00-01T10:00:00Z',
      '2026-01-00T10:00:00Z',
      '٢026-01-01T10:00:00Z',
      '2026-03-01T10:00:00+24:00',
    ];
    const ok = (format: string, text: string) => check({ format }, JSON.stringify(text)) === null;
    expect(right.filter((text) => !ok('date-time', text))).toEqual([]);
    expect(wrong.filter((text) => ok('date-time', text))).toEqual([]);
    expect(right.filter((text) => !ok('date', text.slice(0, 10)) || !ok('time', text.slice(11)))).toEqual([]);
    expect(ok('date', '2026-02-30')).toBe(false);
    expect(ok('time', '10:00:00')).toBe(false);
  });

  it('decimals are multiples of what they are in writing', () => {
    const cents = { multipleOf: 0.01 };
    for (const text of ['19.99', '0.07', '1e300', '-1.10', '0', '1.1', '4.35', '1e-2']) {
      expect(check(cents, text), text).toBeNull();
    }
    for (const text of ['19.999', '1e-3', '5e-324', '0.005']) expect(check(cents, text), text).not.toBeNull();
    expect(check({ multipleOf: 3 }, '1e21')).not.toBeNull();
    expect(check({ multipleOf: 2 }, '1e21')).toBeNull();
    expect(check({ multipleOf: 1e-300 }, '1e300')).toBeNull();
  });

  it('C23 unique items are told by value, in linear time', () => {
    const unique = { uniqueItems: true };
    expect(check(unique, '[1,true,"1",null,"null",[1],["1"],{},[],{"a":[]}]')).toBeNull();
    for (const json of [
      '[1,1.0]',
      '[0,-0.0]',
      '[{"a":1,"b":2},{"b":2,"a":1}]',
      '[[{"a":1}],[{"a":1.0}]]',
      '["a","\\u0061"]',
    ]) {
      expect(check(unique, json), json).not.toBeNull();
    }
    const many = Array.from({ length: 20_000 }, (_, i) => ({ deep: { i }, list: [i, 'x'] }));
    expect(check(unique, JSON.stringify(many))).toBeNull();
    expect(check(unique, JSON.stringify([...many, { list: [7, 'x'], deep: { i: 7 } }]))).not.toBeNull();
  });

  it('const and enum find exactly the equal values', { tags: ['slow'] }, () => {
    const scalar = fc.constantFrom<unknown>(0, 1, '', '1', 'a', null, true, false);
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        scalar,
        fc.array(tie('value'), { maxLength: 2 }),
        fc.dictionary(fc.constantFrom('a', 'b', '__proto__', 'toString'), tie('value'), { maxKeys: 2 }),
      ),
    })).value;
    const sorted = (one: unknown): unknown =>
      Array.isArray(one)
        ? one.map(sorted)
        : one !== null && typeof one === 'object'
          ? Object.entries(one)
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([name, member]) => ['member', name, sorted(member)])
              .concat([['object']])
          : one;
    fc.assert(
      fc.property(value, value, (a, b) => {
        const equal = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
        const json = JSON.stringify(b);
        expect(check({ const: a }, json) === null).toBe(equal);
        expect(check({ enum: [a, 'never'] }, json) === null).toBe(equal);
        expect(check({ uniqueItems: true }, JSON.stringify([a, b])) === null).toBe(!equal);
      }),
      { numRuns: 150 },
    );
  });
});

describe('errors', () => {
  it('C27 a flood is cut, in one event and in fifty', () => {
    const schema = {
      items: { oneOf: [{ type: 'string' }, { type: 'number', minimum: 5 }, { type: 'null' }] },
    };
    const validator = compile({ 'one.json': schema }).set.find('one')!;
    const small = `[${Array(4000).fill('1').join()}]`;
    const large = `[${Array(100_000).fill('1').join()}]`;
    const budget = new ErrorBudget();
    const counts = Array.from({ length: 50 }, () => {
      return validator.check(JSON.parse(small), small.length, budget)!.length;
    });
    expect(counts[0]).toBe(20);
    // 32 KiB of payload are looked into a second time, the rest is told the first error only.
    expect(counts.slice(4)).toEqual(Array(46).fill(1));
    expect(validator.check(JSON.parse(large), large.length, new ErrorBudget())).toEqual([
      at('#/0', 'must match exactly one schema in oneOf'),
    ]);
  });

  it('C27 a schema that branches into itself takes bounded time', () => {
    const branch = { properties: { a: { $ref: '#' } }, required: ['a'] };
    const tree = { anyOf: [branch, branch, { const: 1 }] };
    const deep = (leaf: string, depth: number) => `${'{"a":'.repeat(depth)}${leaf}${'}'.repeat(depth)}`;
    expect(check(tree, deep('{}', 60))).toEqual([at('#', 'is too complex to be checked against the schema')]);
    expect(check(tree, deep('{}', 8))).not.toBeNull();
    expect(check(tree, deep('1', 60))).toBeNull();
    expect(check({ $ref: '#' }, '1')).toEqual([at('#', 'is too complex to be checked against the schema')]);
    const nested = { items: { $ref: '#' }, type: 'array' };
    const brackets = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    expect(check(nested, brackets(500))).toBeNull();
    // Deeper than the stack.
    expect(check(nested, brackets(100_000))).not.toBeNull();
    expect(check({ enum: [[]] }, brackets(100_000))).not.toBeNull();
    const many = { items: { $ref: '#/$defs/node' }, $defs: { node: { items: { $ref: '#/$defs/node' } } } };
    expect(check(many, `[${'1,'.repeat(99_999)}1]`)).toBeNull();
  });

  it('C27 pointers and texts stay short, whatever names the payload has', () => {
    const name = 'n'.repeat(100_000);
    const strict = { properties: { a: { additionalProperties: false } } };
    expect(check(strict, `{"a":{"${name}":1}}`)).toEqual([at('#/a', 'is not allowed')]);
    const pattern = `^${'a'.repeat(1000)}$`;
    expect(check({ pattern }, '"x"')![0]!.detail.length).toBeLessThanOrEqual(256);
  });

  it('pointers are JSON Pointer fragments', () => {
    const required = ['a/b', 'c~d', 'ä', '#', '%', '"', ' ', '\ud800'];
    const pointers = check({ properties: { 'x/y': { required } } }, '{"x/y":{}}')!.map(
      (error) => error.pointer,
    );
    expect(pointers).toEqual(
      ['a~1b', 'c~0d', '%C3%A4', '%23', '%25', '%22', '%20', '%EF%BF%BD'].map((name) => `#/x~1y/${name}`),
    );
  });

  it('lists each different fault in plain words', () => {
    const schema = {
      required: ['id'],
      properties: { n: { type: 'number' }, s: { minLength: 3, enum: ['abc'] }, t: { format: 'date-time' } },
      propertyNames: { maxLength: 5 },
      additionalProperties: false,
    };
    expect(check(schema, '{"n":"1","s":"x","t":"now","longer":1}')).toEqual([
      at('#/id', 'is required'),
      at('#/longer', 'name must not have more than 5 characters'),
      at('#/longer', 'has a name that is not allowed'),
      at('#/longer', 'is not allowed'),
      at('#/n', 'must be number'),
      at('#/s', 'must be one of the allowed values'),
      at('#/s', 'must not have fewer than 3 characters'),
      at('#/t', 'must match format "date-time"'),
    ]);
    expect(toEventErrors([])).toHaveLength(1);
    expect(describeFault({ keyword: 'false schema', instancePath: '/a', params: {} }).detail).toBe(
      'is not allowed',
    );
  });
});
