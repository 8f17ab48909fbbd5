import { kafkaConsumer, SchemaType } from '@aws-lambda-powertools/kafka';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { kafkaEvent, kafkaEventSize } from '../../src/function/lambda-event.ts';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { foreign, stored } from '../dispatcher/records.ts';

const BROKERS = 'one:9092,two:9092';
const parsed = (records: StoredRecord[]) => JSON.parse(kafkaEvent(records, BROKERS).toString());

describe('kafkaEvent', () => {
  test('is what AWS sends of a self-managed Kafka', () => {
    const record = stored(
      '{"a":1}',
      { name: 'ü' },
      { key: Buffer.from('k'), partition: 3, offset: 2 ** 53 - 1, timestamp: 1_700_000_000_123 },
    );
    const { headers, ...rest } = parsed([record]).records['orders-3'][0];
    expect(parsed([record])).toMatchObject({ eventSource: 'SelfManagedKafka', bootstrapServers: BROKERS });
    expect(rest).toEqual({
      topic: 'orders',
      partition: 3,
      offset: 2 ** 53 - 1,
      timestamp: 1_700_000_000_123,
      timestampType: 'CREATE_TIME',
      key: 'aw==',
      value: 'eyJhIjoxfQ==',
    });
    expect(headers).toContainEqual({ ce_id: [...Buffer.from('id-1')] });
    // Java's bytes: above 127 they are negative.
    expect(headers).toContainEqual({ name: [-61, -68] });
  });

  test('a record without a key, value or headers has no such members, and an empty value is one', () => {
    expect(parsed([foreign(null)]).records['orders-0']).toEqual([
      {
        topic: 'orders',
        partition: 0,
        offset: 7,
        timestamp: Date.UTC(2024, 0, 2),
        timestampType: 'CREATE_TIME',
        headers: [],
      },
    ]);
    expect(parsed([foreign('')]).records['orders-0'][0].value).toBe('');
  });

  test('records are listed by topic and partition, in their order', () => {
    const at = (topic: string, partition: number, offset: number) =>
      stored('1', {}, { topic, partition, offset });
    const { records } = parsed([at('a', 0, 5), at('a', 1, 2), at('a-1', 0, 9), at('a', 0, 6), at('a', 1, 4)]);
    const offsets = Object.entries(records as Record<string, StoredRecord[]>).map(([place, list]) => [
      place,
      list.map(({ offset }) => offset),
    ]);
    expect(offsets).toEqual([
      ['a-0', [5, 6]],
      ['a-1', [2, 4]],
      ['a-1-0', [9]],
    ]);
  });

  test('no event is one without records', () => {
    expect(parsed([]).records).toEqual({});
  });

  test('@aws-lambda-powertools/kafka reads keys, values, headers and tombstones', async () => {
    const seen: unknown[] = [];
    const handle = async (event: { records: StoredRecord[] }) => {
      for (const { key, value, headers, topic, offset } of event.records)
        seen.push({ key, value, headers, topic, offset });
    };
    // Its types want AWS's for Lambda.
    const handler = kafkaConsumer(handle as never, { value: { type: SchemaType.JSON } });
    const one = foreign('{"n":1}', { city: 'Zürich' });
    await handler(
      parsed([
        { ...one, key: Buffer.from('ключ') },
        { ...foreign(null), offset: 8 },
      ]),
      {} as never,
    );
    expect(seen).toEqual([
      { key: 'ключ', value: { n: 1 }, headers: [{ city: 'Zürich' }], topic: 'orders', offset: 7 },
      { key: undefined, value: undefined, headers: [], topic: 'orders', offset: 8 },
    ]);
  });
});

describe('kafkaEventSize', () => {
  const bytes = fc.uint8Array({ maxLength: 40 });
  const text = fc.string({ unit: 'binary', maxLength: 12 });
  const record: fc.Arbitrary<StoredRecord> = fc.record({
    topic: fc.stringMatching(/^[a-z.-]{1,8}$/),
    partition: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    offset: fc.nat(Number.MAX_SAFE_INTEGER),
    timestamp: fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }),
    key: fc.option(bytes),
    value: fc.option(bytes),
    headers: fc.dictionary(text, bytes, { maxKeys: 4 }),
  });

  test('C56 the sizes of the events of a call are more than its JSON has', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 6 }), text, (records, brokers) => {
        const json = kafkaEvent(records, brokers);
        expect(() => JSON.parse(json.toString())).not.toThrow();
        const sum = records.reduce((total, one) => total + kafkaEventSize(one, brokers), 0);
        expect(sum).toBeGreaterThan(json.length);
      }),
    );
  });

  test('C56 base64 is counted: a large value takes a third more', () => {
    const value = new Uint8Array(3_000_000);
    const size = kafkaEventSize(foreign(value), BROKERS);
    expect(size).toBeGreaterThan(4_000_000);
    expect(size - kafkaEvent([foreign(value)], BROKERS).length).toBeLessThan(100);
  });
});
