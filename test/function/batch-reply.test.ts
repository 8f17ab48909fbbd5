import { describe, expect, test } from 'vitest';
import { failedOf } from '../../src/function/batch-reply.ts';
import { foreign, stored } from '../dispatcher/records.ts';

const records = ['a', 'b', 'c', 'd'].map((id, i) => stored('1', { ce_id: id }, { offset: 100 + i }));
const listed = (...identifiers: unknown[]) =>
  failedOf({ batchItemFailures: identifiers.map((itemIdentifier) => ({ itemIdentifier })) }, records);
const at = (offset: unknown, partition: unknown = 'orders-0') => ({ partition, offset });

describe('C57 batchItemFailures', () => {
  test('C57 an answer without failures is a success', () => {
    for (const body of [
      undefined,
      null,
      {},
      { batchItemFailures: null },
      { batchItemFailures: undefined },
      { batchItemFailures: [] },
      { other: 1 },
      'OK',
      true,
      7,
      [],
      [{ ok: true }],
    ])
      expect([body, failedOf(body, records)]).toEqual([body, null]);
  });

  test('C57 events are named as Lambda names them', () => {
    expect(listed(at(102))).toEqual([2]);
    expect(listed(at(103), at(100))).toEqual([0, 3]);
    expect(listed(at(101), at(101))).toEqual([1]);
    expect(listed(at(100), at(101), at(102), at(103))).toEqual([0, 1, 2, 3]);
    expect(listed({ ...at(100), extra: 1 })).toEqual([0]);
  });

  test('C57 events are named by their id', () => {
    expect(listed('d', 'b')).toEqual([1, 3]);
    expect(listed('b', 'b', at(101))).toEqual([1]);
    expect(listed('a', at(103))).toEqual([0, 3]);
  });

  test('C57 an id that two events have means both', () => {
    const twice = [...records, stored('2', { ce_id: 'b', ce_source: '/other' }, { offset: 104 })];
    expect(failedOf({ batchItemFailures: [{ itemIdentifier: 'b' }] }, twice)).toEqual([1, 4]);
    // An event that was sent again is twice at its first place.
    expect(
      failedOf({ batchItemFailures: [{ itemIdentifier: at(100) }] }, [records[0]!, records[0]!]),
    ).toEqual([0, 1]);
  });

  test('C57 a record that is no event, and one in structured mode, have an id too', () => {
    const structured = foreign('{"specversion":"1.0","id":"s-1","source":"/s","type":"t"}', {
      'content-type': 'application/cloudevents+json',
    });
    const mixed = [foreign('x'), structured];
    const answer = (id: string) => failedOf({ batchItemFailures: [{ itemIdentifier: id }] }, mixed);
    expect(answer('orders-0-7')).toEqual([0]);
    expect(answer('s-1')).toEqual([1]);
  });

  test('C57 anything else in the list is malformed, also beside what is right', () => {
    for (const identifier of [
      '',
      null,
      undefined,
      7,
      [],
      {},
      'e',
      ':a',
      'orders-0:100',
      'orders-0-100',
      at(99),
      at(104),
      at(100, 'orders-1'),
      at(100, 'orders'),
      at(100, 0),
      at('100'),
      at(100.5),
      at(null),
      { partition: 'orders-0' },
      { topic: 'orders', partition: 0, offset: 100 },
      ['a'],
    ]) {
      expect([identifier, listed(identifier)]).toEqual([identifier, 'malformed']);
      expect(listed('a', identifier)).toBe('malformed');
    }
    for (const list of ['a', 'all', 7, true, {}, { itemIdentifier: 'a' }, ['a'], ['a', 'b'], [null], [[]]]) {
      expect([list, failedOf({ batchItemFailures: list }, records)]).toEqual([list, 'malformed']);
    }
    expect(failedOf({ batchItemFailures: [{ itemidentifier: 'a' }] }, records)).toBe('malformed');
    expect(failedOf({ batchItemFailures: [{ id: 'a' }] }, records)).toBe('malformed');
    expect(failedOf([{ itemIdentifier: 'a' }], records)).toBe('malformed');
  });
});
