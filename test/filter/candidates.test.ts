import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AttributeFilter } from '../../src/config/subscription/types.ts';
import { makeFilterIndex } from '../../src/filter/candidates.ts';
import type { Wanted } from '../../src/filter/conditions.ts';
import { makeFilter } from '../../src/filter/filter.ts';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { foreign, stored } from '../dispatcher/records.ts';

const cel = (filter: string): Wanted => ({ filter, filters: [] });
const dialect = (...filters: AttributeFilter[]): Wanted => ({ filter: null, filters });
const thousand = (make: (i: number) => Wanted) => Array.from({ length: 1000 }, (_, i) => make(i));
const candidates = (filters: Wanted[], record: StoredRecord) => [
  ...makeFilterIndex(filters).candidates(record),
];
const structured = (members: Record<string, unknown>) =>
  foreign(JSON.stringify(members), { 'content-type': 'application/cloudevents+json' });

describe('an event meets the one of a thousand filters that may match it', () => {
  const record = stored('{}', { ce_type: 'shop.order.7', ce_tenant: 'acme' });

  test.each<[string, (i: number) => Wanted]>([
    ['exact', (i) => dialect({ exact: { type: `shop.order.${i}` } })],
    ['prefix', (i) => dialect({ prefix: { type: `shop.order.${i}` } })],
    ['CEL, ==', (i) => cel(`event.type == "shop.order.${i}"`)],
    ['CEL, == with the literal first', (i) => cel(`"shop.order.${i}" == event["type"]`)],
    ['CEL, in', (i) => cel(`event.type in ["shop.order.${i}", "shop.gone.${i}"]`)],
    ['CEL, ||', (i) => cel(`(event.type == "gone.${i}") || (event.type == "shop.order.${i}")`)],
    ['CEL, startsWith', (i) => cel(`event.type.startsWith("shop.order.${i}")`)],
    ['CEL, not !=', (i) => cel(`!(event.type != "shop.order.${i}" || event.data.total > 1)`)],
    ['any', (i) => dialect({ any: [{ exact: { type: 'gone' } }, { exact: { type: `shop.order.${i}` } }] })],
    ['not not', (i) => dialect({ not: { not: { exact: { type: `shop.order.${i}` } } } })],
    ['both', (i) => ({ filter: 'event.data.total > 1', filters: [{ exact: { type: `shop.order.${i}` } }] })],
    ['&& with what all have', (i) => cel(`event.source == "/shop" && event.type == "shop.order.${i}"`)],
    ['all with what all have', (i) => dialect({ exact: { source: '/shop', type: `shop.order.${i}` } })],
    ['&& with data', (i) => cel(`event.data.total > 1 && event.type == "shop.order.${i}" && true`)],
    [
      '&& with a suffix',
      (i) => dialect({ suffix: { subject: 'a' } }, { exact: { type: `shop.order.${i}` } }),
    ],
  ])('%s', (_, make) => {
    expect(candidates(thousand(make), record)).toEqual([7]);
  });

  test('in either mode, and where the log gives the attribute', () => {
    const filters = thousand((i) => cel(`event.type == "t${i}"`));
    const index = makeFilterIndex([...filters, cel('event.type == "kafka.record"')]);
    expect(index.candidates(structured({ type: 't999' }))).toEqual([999]);
    expect(index.candidates(structured({ type: 'other' }))).toEqual([]);
    expect(index.candidates(foreign('no event'))).toEqual([1000]);
    expect(index.candidates(stored('{}', { ce_type: '' }))).toEqual([1000]);
  });

  test('and those that no attribute decides, in order', () => {
    const filters = thousand((i) => cel(`event.type == "t${i}"`));
    filters[3] = cel('event.data.total > 1');
    filters[500] = { filter: null, filters: [] };
    filters[501] = cel('event.type == "t7" || event.data.total > 1');
    filters[502] = dialect({ not: { exact: { type: 't7' } } });
    filters[503] = cel('event.type.endsWith("7")');
    expect(candidates(filters, stored('{}', { ce_type: 't7' }))).toEqual([3, 7, 500, 501, 502, 503]);
  });

  test('with long lists', () => {
    const list = (i: number, length: number) =>
      JSON.stringify(Array.from({ length }, (_, j) => `shop.order.${i + 1000 * j}`));
    const filters = thousand((i) => cel(`event.type in ${list(i, 100)}`));
    filters[900] = cel(`event.type in ${list(900, 300)}`);
    expect(candidates(filters, record)).toEqual([7, 900]);
  });
});

test('an event without the attribute meets the expressions that fail on it', () => {
  const filters = [
    cel('event.tenant == "a"'),
    cel('has(event.tenant) && event.tenant == "a"'),
    dialect({ exact: { tenant: 'a' } }),
    cel('!has(event.tenant)'),
    cel('event.tenant == "a" && event.type == "other"'),
    cel('event.tenant == 1'),
  ];
  expect(candidates(filters, stored('{}'))).toEqual([0, 3, 5]);
  expect(candidates(filters, stored('{}', { ce_tenant: 'a' }))).toEqual([0, 1, 2]);
  expect(candidates(filters, stored('{}', { ce_tenant: '' }))).toEqual([]);
});

test('data that cannot be read fail on each filter, as without an index', () => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const record = foreign(`{"type":"a","data":${deep}}`, { 'content-type': 'application/cloudevents+json' });
  const filter = makeFilter(cel('event.type == "b"'))!;
  expect(filter.match(record)).toBe(false);
  expect(filter.errors).toBe(1);
  expect(candidates([cel('event.type == "b"'), cel('event.type == "c"')], record)).toEqual([0, 1]);
});

test('reads only what some filter needs, once for an event', () => {
  const filters = thousand((i) =>
    cel(`event.type == "t${i}" && event.source == "/shop" && event.data.x == 1`),
  );
  const index = makeFilterIndex(filters);
  const read: string[] = [];
  const record = stored('{"cut off', { ce_type: 't7', ce_tenant: 'acme' });
  const headers = new Proxy(record.headers, {
    get: (target, name: string) => {
      read.push(name);
      return target[name];
    },
  });
  expect(index.candidates({ ...record, headers })).toEqual([7]);
  expect(read.filter((name) => name.startsWith('ce_'))).toEqual(['ce_type']);
});

describe('indexed filters do what plain ones do', () => {
  const names = ['id', 'source', 'type', 'specversion', 'time', 'subject', 'datacontenttype', 'tenant'];
  const texts = ['a', 'ab', 'aba', 'ba', 'a"b', 'ä', '👍', '👍a', '1.0', 'orders-0-7', 'kafka.record'];
  const name = fc.constantFrom(...names);
  const wanted = fc.constantFrom(...texts, 'text/plain', 'application/json', '2024-01-02T00:00:00.000Z');
  const attributes = fc.dictionary(name, wanted, { minKeys: 1, maxKeys: 3 });
  const several = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: 1, maxLength: 3 });

  const { filter } = fc.letrec<{ filter: AttributeFilter }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 3 },
      fc.record({ exact: attributes }),
      fc.record({ prefix: attributes }),
      fc.record({ suffix: attributes }),
      fc.record({ not: tie('filter') }),
      fc.record({ all: several(tie('filter')) }),
      fc.record({ any: several(tie('filter')) }),
    ),
  }));

  const literal = fc.oneof(
    { arbitrary: fc.constantFrom(...texts, '').map((text) => JSON.stringify(text)), weight: 8 },
    // Not what an attribute can be, and half of a pair of UTF-16, which no bytes hold.
    fc.constantFrom('1', '1u', '1.0', 'true', 'null', 'b"a"', 'event.type', '"a" + "b"', '"\ud83d"'),
  );
  const lists = fc.oneof(
    fc.array(fc.constantFrom(...texts), { maxLength: 4 }).map((list) => JSON.stringify(list)),
    fc.constantFrom('[1, 2]', '[null]', '["a", event.type]', '[event.type]', '{"a": 1}'),
  );
  // The last ones are never attributes.
  const member = fc
    .constantFrom(...names, 'data', 'constructor', 'Type')
    .chain((one) => fc.constantFrom(`event.${one}`, `event["${one}"]`));
  const { expression } = fc.letrec<{ expression: string }>((tie) => {
    const two = fc.tuple(tie('expression'), tie('expression'));
    return {
      expression: fc.oneof(
        { maxDepth: 4 },
        fc.tuple(member, literal).map(([left, right]) => `${left} == ${right}`),
        fc.tuple(member, literal).map(([left, right]) => `${left} != ${right}`),
        fc.tuple(literal, member).map(([left, right]) => `${left} == ${right}`),
        fc.tuple(member, lists).map(([left, list]) => `${left} in ${list}`),
        fc.tuple(member, literal).map(([left, right]) => `${left}.startsWith(${right})`),
        fc.tuple(member, literal).map(([left, right]) => `${left}.endsWith(${right})`),
        member.map((one) => `has(${one})`),
        fc.constantFrom('event.data.a == 1', 'event.data.b > 1', 'size(event) > 3', 'true', 'event.subject'),
        fc.constant('["a", "b"].exists(event, event == "a")'),
        tie('expression').map((one) => `!(${one})`),
        two.map(([left, right]) => `${left} && ${right}`),
        two.map(([left, right]) => `(${left}) && (${right})`),
        two.map(([left, right]) => `(${left} || ${right})`),
        two.map(([left, right]) => `(event.type == "a" ? ${left} : ${right})`),
      ),
    };
  });
  /** Some are of no valid type: a config has none of these. */
  const isValid = (one: Wanted) => {
    try {
      makeFilter(one);
      return true;
    } catch {
      return false;
    }
  };
  const one = fc
    .record({
      filter: fc.option(expression),
      filters: fc.array(filter, { maxLength: 2 }),
    })
    .filter(isValid);

  const value = fc.constantFrom(...texts, '', '\ud83d', 'text/plain');
  const type = fc.constantFrom('application/json', 'text/plain', 'application/cloudevents+json', '\u0001');
  const binary = fc
    .tuple(fc.dictionary(fc.constantFrom(...names, 'data', 'constructor'), value), fc.option(type))
    .map(([headers, type]) =>
      foreign('{"a":1,"b":2}', {
        ...Object.fromEntries(Object.entries(headers).map(([name, text]) => [`ce_${name}`, text])),
        ...(type === null ? {} : { 'content-type': type }),
      }),
    );
  /** Bytes that are no text. */
  const broken = binary.map((record) => ({
    ...record,
    headers: { ...record.headers, ce_subject: Buffer.of(0x61, 0xf0, 0x9f) },
  }));
  const inValue = fc
    .dictionary(
      fc.constantFrom(...names, 'data'),
      fc.oneof(value, fc.integer(), fc.boolean(), fc.constant(null)),
    )
    .map(structured);
  const records = fc.array(fc.oneof(binary, inValue, broken), { minLength: 1, maxLength: 20 });

  test('they match the same records and fail on the same', () => {
    let left = 0;
    let all = 0;
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 8 }), records, (filters, records) => {
        const [plain, indexed] = [filters.map(makeFilter), filters.map(makeFilter)];
        const index = makeFilterIndex(filters);
        const places = [...filters.keys()];
        for (const record of records) {
          const met = index.candidates(record);
          expect(met).toEqual(places.filter((place) => met.includes(place)));
          const matches = (made: typeof plain) => (place: number) => made[place]?.match(record) ?? true;
          expect(met.filter(matches(indexed))).toEqual(places.filter(matches(plain)));
          left += filters.length - met.length;
          all += filters.length;
        }
        expect(indexed.map((one) => one?.errors)).toEqual(plain.map((one) => one?.errors));
      }),
      { numRuns: 300 },
    );
    // Else the index would be right because it finds all.
    expect(left / all).toBeGreaterThan(0.2);
  });
});
