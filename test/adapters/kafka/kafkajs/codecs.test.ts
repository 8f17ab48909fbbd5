import { randomBytes } from 'node:crypto';
import { afterEach, expect, inject, test } from 'vitest';
import { unlz4, unsnappy } from '../../../../src/adapters/kafka/kafkajs/codecs.ts';
import type { EventLog } from '../../../../src/ports/event-log.ts';
import { collect, record } from '../../../contracts/collector.ts';
import { makeTopic, openLog } from '../setting.ts';

const brokers = inject('kafkaBrokers');
let log: EventLog | null = null;

afterEach(() => log?.close());

test.each(['gzip', 'snappy', 'lz4', 'zstd', 'uncompressed'])(
  'C48 reads what the broker compressed with %s',
  async (codec) => {
    // The broker compresses anew what comes in another codec than the topic's.
    const topic = await makeTopic(brokers, 1, { 'compression.type': codec });
    log = openLog(brokers, [topic]).log;
    const values = [
      Buffer.alloc(0),
      Buffer.from('short'),
      Buffer.alloc(300_000, 'abcdefgh'),
      Buffer.alloc(70_000, 'x'),
      randomBytes(200_000),
      Buffer.from(Array.from({ length: 5_000 }, (_, i) => JSON.stringify({ i, at: i * 7 })).join('\n')),
    ];
    const records = values.map((value) => record(topic, value, null, { ce_id: 'some id' }));
    expect(await log.append(records)).toEqual(records.map(() => 'stored'));
    // Small batches too, which may be stored as they are.
    for (const value of ['1', '2']) expect(await log.append([record(topic, value)])).toEqual(['stored']);
    const { collector } = await collect(log, topic, [topic]);
    await collector.values(values.length + 2);
    const found = collector.seen.map(({ value }) => Buffer.from(value!).toString('base64'));
    expect(found).toEqual(
      [...values, Buffer.from('1'), Buffer.from('2')].map((value) => value.toString('base64')),
    );
  },
);

test('C48 refuses damaged data instead of reading beyond it', () => {
  expect(() => unsnappy(Buffer.from([200, 1, 0x05, 9, 9]))).toThrow(RangeError);
  expect(() => unsnappy(Buffer.from([4, 0x01, 7]))).toThrow(RangeError);
  expect(() => unlz4(Buffer.from('not a frame at all'))).toThrow(RangeError);
  expect(() => unlz4(Buffer.from('04224d186040820500000010', 'hex'))).toThrow(RangeError);
});

test('C48 writes gzip that everybody reads', async () => {
  const topic = await makeTopic(brokers, 1);
  log = openLog(brokers, [topic], { compression: 'gzip' }).log;
  expect(await log.append([record(topic, 'a'.repeat(10_000))])).toEqual(['stored']);
  const { collector } = await collect(log, topic, [topic]);
  expect(await collector.values(1)).toEqual(['a'.repeat(10_000)]);
});
