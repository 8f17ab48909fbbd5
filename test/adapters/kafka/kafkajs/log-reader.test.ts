import { Kafka, logLevel } from 'kafkajs';
import { expect, inject, test } from 'vitest';
import { kafkaLogReader } from '../../../../src/adapters/kafka/kafkajs/log-reader.ts';
import { replay } from '../../../../src/dispatcher/replay.ts';
import type { Range } from '../../../../src/ports/log-reader.ts';
import { text } from '../../../contracts/collector.ts';
import { logReaderContract } from '../../../contracts/log-reader.ts';
import { subscription, TestFunction } from '../../../dispatcher/rig.ts';
import { kafkaConfig, makeTopic, makeTopics, openLog, withPlainAdmin } from '../setting.ts';

logReaderContract('kafka', async (topics) => {
  const brokers = inject('kafkaBrokers');
  await makeTopics(brokers, topics, 3);
  return {
    log: openLog(brokers, topics).log,
    reader: kafkaLogReader(kafkaConfig(brokers), () => {}),
    destroy: () => withPlainAdmin(brokers, (admin) => admin.deleteTopics({ topics })),
  };
});

test('reads past what transactions leave in a topic, and nothing that was undone', async () => {
  const brokers = inject('kafkaBrokers');
  const topic = await makeTopic(brokers, 1);
  const client = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
  const producer = client.producer({ transactionalId: topic, maxInFlightRequests: 1, idempotent: true });
  await producer.connect();
  for (const [values, end] of [
    [['a', 'b'], 'commit'],
    [['no', 'never'], 'abort'],
    [['c'], 'commit'],
    [['not'], 'abort'],
  ] as const) {
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: values.map((value) => ({ value })) });
    await transaction[end]();
  }
  await producer.disconnect();
  const reader = kafkaLogReader(kafkaConfig(brokers), () => {});
  const values = async (ranges: Range[]) => {
    const seen: string[] = [];
    await reader.read(ranges, async (records) => {
      seen.push(...records.map(text));
      return true;
    });
    return seen;
  };
  const [range] = await reader.ranges(topic);
  expect(range).toEqual({ topic, partition: 0, from: 0, end: 10 });
  expect(await values([range!])).toEqual(['a', 'b', 'c']);
  expect(await values([{ ...range!, from: 9 }])).toEqual([]);
  // Beyond the end, and of no partition that there is.
  expect(await values([{ ...range!, from: 50, end: 51 }])).toEqual([]);
  // What a replay does to find its end.
  const { log } = openLog(brokers, [topic]);
  const target = await TestFunction.start();
  const replayed = await replay({
    subscription: subscription(target, { name: topic, topics: [topic] }),
    log,
    reader,
    report: () => {},
    from: 0,
    to: null,
    rate: null,
    grace: 5_000,
    signal: new AbortController().signal,
  });
  expect(replayed).toMatchObject({ finished: true, events: { delivered: 3 } });
  await log.close();
  await target.server.close();
});
