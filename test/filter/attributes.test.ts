import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AttributeFilter } from '../../src/config/subscription/types.ts';
import { makeFilter } from '../../src/filter/filter.ts';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { foreign, stored } from '../dispatcher/records.ts';

const matches = (filters: AttributeFilter[], record: StoredRecord, filter: string | null = null) =>
  makeFilter({ filter, filters })!.match(record);

const structured = (members: Record<string, unknown>) =>
  foreign(JSON.stringify(members), { 'content-type': 'Application/CloudEvents+json; charset=utf-8' });

const push = { ce_type: 'com.github.push', ce_subject: 'https://github.com/cloudevents/spec' };
/** The same event, once in headers and once in the value. */
const both = [
  stored('{"ref":"main"}', push),
  structured({
    specversion: '1.0',
    id: 'id-1',
    source: '/shop',
    type: 'com.github.push',
    subject: 'https://github.com/cloudevents/spec',
    datacontenttype: 'application/json',
    data: { ref: 'main' },
  }),
];

describe.each([
  ['binary', both[0]!],
  ['structured', both[1]!],
])('filters of the CloudEvents Subscriptions API on a record in %s mode', (_, record) => {
  const subject = 'https://github.com/cloudevents/spec';

  test('exact: all the attributes must be the same, with case', () => {
    expect(matches([{ exact: { type: 'com.github.push' } }], record)).toBe(true);
    expect(matches([{ exact: { type: 'com.github.push', subject } }], record)).toBe(true);
    expect(matches([{ exact: { type: 'com.github.push', subject: 'other' } }], record)).toBe(false);
    for (const type of ['com.github.Push', 'com.github.pus', 'com.github.push2', 'xcom.github.push'])
      expect(matches([{ exact: { type } }], record), type).toBe(false);
  });

  test('prefix and suffix: all the attributes must begin or end so', () => {
    expect(matches([{ prefix: { type: 'com.github.', subject: 'https://' } }], record)).toBe(true);
    expect(matches([{ prefix: { type: 'com.github.push' } }], record)).toBe(true);
    expect(matches([{ prefix: { type: 'com.GitHub.' } }], record)).toBe(false);
    expect(matches([{ prefix: { type: 'com.github.push.force' } }], record)).toBe(false);
    expect(matches([{ prefix: { type: 'com.github.', subject: '/' } }], record)).toBe(false);
    expect(matches([{ suffix: { type: '.push', subject: '/spec' } }], record)).toBe(true);
    expect(matches([{ suffix: { type: 'com.github.push' } }], record)).toBe(true);
    expect(matches([{ suffix: { type: '.Push' } }], record)).toBe(false);
    expect(matches([{ suffix: { type: 'org.com.github.push' } }], record)).toBe(false);
    expect(matches([{ suffix: { type: '.push', subject: '/' } }], record)).toBe(false);
  });

  test('an attribute that is missing never matches, and not of it does', () => {
    for (const filter of [
      { exact: { tenant: 'a' } },
      { prefix: { tenant: 'a' } },
      { suffix: { tenant: 'a' } },
    ]) {
      expect(matches([filter], record)).toBe(false);
      expect(matches([{ not: filter }], record)).toBe(true);
      expect(matches([{ not: { not: filter } }], record)).toBe(false);
    }
  });

  test('all, any and not, inside each other', () => {
    const yes: AttributeFilter = { suffix: { type: '.push' } };
    const no: AttributeFilter = { exact: { type: 'other' } };
    expect(matches([{ all: [yes, yes] }], record)).toBe(true);
    expect(matches([{ all: [yes, no] }], record)).toBe(false);
    expect(matches([{ any: [no, yes] }], record)).toBe(true);
    expect(matches([{ any: [no, no] }], record)).toBe(false);
    expect(matches([{ any: [{ all: [yes, no] }, { not: { any: [no, { not: yes }] } }] }], record)).toBe(true);
  });

  test('all filters of the list must hold, and then the expression', () => {
    const yes: AttributeFilter = { exact: { source: '/shop' } };
    const no: AttributeFilter = { exact: { source: '/blog' } };
    expect(matches([yes, yes], record)).toBe(true);
    expect(matches([yes, no], record)).toBe(false);
    expect(matches([yes], record, 'event.data.ref == "main"')).toBe(true);
    expect(matches([yes], record, 'event.data.ref == "dev"')).toBe(false);
    expect(matches([no], record, 'event.data.ref == "main"')).toBe(false);
  });

  test('only events that pass the filters can fail the expression', () => {
    const filter = makeFilter({
      filters: [{ exact: { type: 'com.github.push' } }],
      filter: 'event.data.missing > 1',
    })!;
    expect(filter.match(record)).toBe(false);
    expect(filter.errors).toBe(1);
    expect(filter.match(stored('{}', { ce_type: 'other' }))).toBe(false);
    expect(filter.errors).toBe(1);
  });

  test('the content type is an attribute too', () => {
    expect(matches([{ exact: { datacontenttype: 'application/json' } }], record)).toBe(true);
    expect(matches([{ suffix: { datacontenttype: 'xml' } }], record)).toBe(false);
  });
});

test('text beyond ASCII is compared by characters', () => {
  const record = stored('{}', { ce_subject: 'größe-👍' });
  expect(matches([{ exact: { subject: 'größe-👍' } }], record)).toBe(true);
  expect(matches([{ prefix: { subject: 'grö' } }], record)).toBe(true);
  expect(matches([{ suffix: { subject: '👍' } }], record)).toBe(true);
  expect(matches([{ exact: { subject: 'grosse-👍' } }], record)).toBe(false);
});

test('what a foreign record lacks is taken from its place, as everywhere', () => {
  const record = foreign('no event');
  expect(
    matches([{ exact: { id: 'orders-0-7', source: 'kafka:orders', type: 'kafka.record' } }], record),
  ).toBe(true);
  expect(matches([{ prefix: { time: '2024-01-02' } }, { exact: { specversion: '1.0' } }], record)).toBe(true);
});

test('a subscription without filters wants everything', () => {
  expect(makeFilter({ filter: null, filters: [] })).toBeNull();
});

describe('no look at the payload', () => {
  /** Whoever looks at the value finds that out. */
  function untouchable(headers: Record<string, string>): { record: StoredRecord; looks(): number } {
    const record = stored('{"cut off', headers);
    let looks = 0;
    const value = new Proxy(record.value!, {
      get(target, name) {
        looks++;
        return Reflect.get(target, name, target);
      },
    });
    return { record: { ...record, value }, looks: () => looks };
  }

  test.each([
    'event.type == "shop.order"',
    'event["type"].startsWith("shop.") && !has(event.tenant)',
    'event.type == "shop.order" || event.data.total > 1',
    'event.datacontenttype == "application/json" && event.time == "2024-05-01T00:00:00Z"',
    'size(event) > 3',
  ])('expression %s', (filter) => {
    const { record, looks } = untouchable({ ce_time: '2024-05-01T00:00:00Z' });
    expect(matches([], record, filter)).toBe(true);
    expect(looks()).toBe(0);
  });

  test('filters', () => {
    const { record, looks } = untouchable({});
    expect(matches([{ exact: { type: 'shop.order' } }, { not: { prefix: { tenant: 'a' } } }], record)).toBe(
      true,
    );
    expect(looks()).toBe(0);
  });

  test('but an expression about the data does look', () => {
    const { record, looks } = untouchable({});
    expect(matches([], record, 'event.data.total > 1')).toBe(false);
    expect(looks()).toBeGreaterThan(0);
  });
});

describe('filters and expressions agree', () => {
  const names = [
    'id',
    'source',
    'type',
    'specversion',
    'time',
    'subject',
    'datacontenttype',
    'tenant',
    'data',
  ];
  const value = fc.constantFrom(
    '',
    'a',
    'ab',
    'ba',
    'aba',
    'a"b',
    'ä',
    '👍a',
    '1.0',
    'orders-0-7',
    'text/plain',
  );
  const wanted = value.filter((text) => text !== '');
  const attributes = fc.dictionary(fc.constantFrom(...names.slice(0, -1)), wanted, {
    minKeys: 1,
    maxKeys: 2,
  });
  const { filter } = fc.letrec<{ filter: AttributeFilter }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 3 },
      fc.record({ exact: attributes }),
      fc.record({ prefix: attributes }),
      fc.record({ suffix: attributes }),
      fc.record({ not: tie('filter') }),
      fc.record({ all: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ any: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
    ),
  }));

  function expression(filter: AttributeFilter): string {
    if ('not' in filter) return `!(${expression(filter.not)})`;
    if ('all' in filter) return `(${filter.all.map(expression).join(' && ')})`;
    if ('any' in filter) return `(${filter.any.map(expression).join(' || ')})`;
    const [kind, attributes] = Object.entries(filter)[0] as [string, Record<string, string>];
    const parts = Object.entries(attributes).map(([name, text]) => {
      const literal = JSON.stringify(text);
      const test = {
        exact: `event.${name} == ${literal}`,
        prefix: `event.${name}.startsWith(${literal})`,
        suffix: `event.${name}.endsWith(${literal})`,
      }[kind];
      return `(has(event.${name}) && ${test})`;
    });
    return `(${parts.join(' && ')})`;
  }

  const binary = fc.dictionary(fc.constantFrom(...names), value).chain((headers) =>
    fc
      .option(fc.constantFrom('application/json', 'text/plain', 'application/cloudevents+json', '\u0001'))
      .map((type) =>
        foreign('{"a":1}', {
          ...Object.fromEntries(Object.entries(headers).map(([name, text]) => [`ce_${name}`, text])),
          ...(type === null ? {} : { 'content-type': type }),
        }),
      ),
  );
  const inValue = fc
    .dictionary(fc.constantFrom(...names), fc.oneof(value, fc.integer(), fc.boolean(), fc.constant(null)))
    .map(structured);

  test('on any record, whichever way an event is looked at', () => {
    fc.assert(
      fc.property(filter, fc.oneof(binary, inValue), (filter, record) => {
        const text = expression(filter);
        const answer = matches([filter], record);
        expect(matches([], record, text)).toBe(answer);
        // A look at the event as a whole needs all of it.
        expect(matches([], record, `${text} && size(event) > 0`)).toBe(answer);
      }),
      { numRuns: 2000 },
    );
  });
});
