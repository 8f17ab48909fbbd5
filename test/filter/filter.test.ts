import { describe, expect, test } from 'vitest';
import { compileFilter, filterProblem } from '../../src/filter/filter.ts';
import { foreign, stored } from '../dispatcher/records.ts';

const matches = (filter: string, value: string | null, headers: Record<string, string> = {}) =>
  compileFilter(filter).match(stored(value, headers));

describe('filter', () => {
  test('sees attributes, extensions and data', () => {
    const order = '{"event":"Order Completed","total":150,"tags":["a"],"a b":1}';
    const yes = [
      'event.type == "shop.order" && event.data.event == "Order Completed"',
      'event.id == "id-1" && event.source == "/shop" && event.specversion == "1.0"',
      'event.tenant == "acme" && event["tenant"].startsWith("ac")',
      'event.datacontenttype == "application/json"',
      '"a" in event.data.tags && size(event.data.tags) == 1',
      'has(event.data.total) && !has(event.data.missing)',
      'event.data["a b"] == 1',
      'event.data.missing == 1 || event.type == "shop.order"',
      'timestamp(event.time) > timestamp("2020-01-01T00:00:00Z")',
    ];
    for (const text of yes) {
      expect(matches(text, order, { ce_tenant: 'acme', ce_time: '2024-05-01T00:00:00Z' }), text).toBe(true);
    }
    expect(matches('event.data.event == "Order Cancelled"', order)).toBe(false);
  });

  test('compares and computes with JSON numbers and either kind of literal', () => {
    const yes = [
      'event.data.total > 100',
      'event.data.total > 100.0',
      'event.data.total == 150',
      'event.data.total == 150.0',
      'event.data.total in [1, 150]',
      'event.data.total + 1 == 151',
      '1 + event.data.total == 151.0',
      'event.data.total * 2 - 1 > 298',
      'event.data.total / 4 == 37.5',
      'event.data.total % 2 == 0',
      'event.data.total % event.data.total == 0.0',
      'event.data.list.exists(n, n + 1 > 2)',
    ];
    for (const text of yes) expect(matches(text, '{"total":150,"list":[1,2]}'), text).toBe(true);
  });

  test('counts an expression that fails, and does not match', () => {
    const filter = compileFilter('event.data.total > 100');
    for (const value of ['{}', '{"total":"many"}', '[]', '1', 'null', 'no json', '{"total":null}', null]) {
      expect(filter.match(stored(value)), String(value)).toBe(false);
    }
    expect(filter.match(stored(Buffer.of(0x22, 0xff, 0x22)))).toBe(false);
    expect(filter.match(stored('{"total":101}', { 'content-type': 'text/plain' }))).toBe(false);
    expect(filter.errors).toBe(10);
    expect(filter.match(stored('{"total":101}'))).toBe(true);
    expect(filter.match(stored('{"total":99}'))).toBe(false);
    expect(filter.errors).toBe(10);
    const notBool = compileFilter('event.data.total');
    expect(notBool.match(stored('{"total":1}'))).toBe(false);
    expect(notBool.errors).toBe(1);
  });

  test('C11 sees own members only, whatever their names', () => {
    const value = '{"id":"p1","__proto__":{"type":"admin"},"constructor":1,"toString":null,"total":5}';
    expect(matches('event.data.type == "admin"', value)).toBe(false);
    expect(matches('event.type == "admin"', value)).toBe(false);
    expect(matches('event.data.total == 5', value)).toBe(true);
    expect(matches('event.data.id == "p1" && event.data.constructor == 1', value)).toBe(true);
    expect(matches('event.data.total == 5', '{"\\u0063onstructor":1,"total":5}')).toBe(true);
    expect(matches('event.data.a.total == 5', '{"a":{"constructor":{"total":6},"total":5}}')).toBe(true);
    expect(matches('event.data.toString == null', value)).toBe(true);
    expect(matches('has(event.data.constructor)', '{}')).toBe(false);
    expect(matches('has(event.hasOwnProperty) || has(event.constructor)', '{}')).toBe(false);
    const names = { ce_constructor: 'x', ce___proto__: 'x', ce_data: 'x', ce_type: 'shop.order' };
    expect(matches('event.type == "shop.order" && event.data.total == 5', value, names)).toBe(true);
    expect(({} as { type?: string }).type).toBeUndefined();
  });

  test('matches patterns in linear time', () => {
    const value = JSON.stringify({ s: `${'a'.repeat(5000)}!` });
    expect(matches('event.data.s.matches("^(a+)+$")', value)).toBe(false);
    expect(matches('!(event.data.s.matches("^(a+)+$"))', value)).toBe(true);
    expect(matches('[event.data.s].exists(s, s.matches("a!$"))', value)).toBe(true);
    expect(matches('event.data.s.matches("(")', value)).toBe(false);
  });

  test('takes structured and foreign records', () => {
    const structured = foreign(
      '{"specversion":"1.0","id":"s","source":"/s","type":"t","n":5,"data":{"a":1}}',
      {
        'content-type': 'application/cloudevents+json; charset=utf-8',
      },
    );
    expect(compileFilter('event.type == "t" && event.n == "5" && event.data.a == 1').match(structured)).toBe(
      true,
    );
    const plain = foreign('{"a":1}');
    const text = 'event.type == "kafka.record" && event.id == "orders-0-7" && event.source == "kafka:orders"';
    expect(compileFilter(`${text} && event.data.a == 1`).match(plain)).toBe(true);
  });

  test('says what is wrong with an expression', () => {
    expect(filterProblem('event.type == "a"')).toBeNull();
    expect(filterProblem('event.type ==')).toMatch(/EOF/);
    expect(filterProblem('evnt.type == "a"')).toMatch(/evnt/);
    expect(filterProblem('1 + 2')).toMatch(/bool/);
    expect(filterProblem('"a"')).toMatch(/bool/);
    expect(filterProblem('nope(event.type)')).toMatch(/nope/);
  });
});
