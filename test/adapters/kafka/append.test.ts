import { randomBytes, randomUUID } from 'node:crypto';
import { ConfigResourceTypes, Partitioners } from 'kafkajs';
import { afterEach, describe, expect, inject, test, vi } from 'vitest';
import type { EventLog } from '../../../src/ports/event-log.ts';
import { record } from '../../contracts/collector.ts';
import {
  CLIENTS,
  counts,
  makeTopic,
  makeTopics,
  openLog,
  readBack,
  valuesOf,
  withPlainAdmin,
} from './setting.ts';

const brokers = inject('kafkaBrokers');
const logs: EventLog[] = [];

afterEach(async () => {
  await Promise.all(logs.splice(0).map((log) => log.close()));
});

describe.each(CLIENTS)('%s', (client) => {
  function open(topics: string[], changes = {}): ReturnType<typeof openLog> {
    const opened = openLog(brokers, topics, { client, ...changes });
    logs.push(opened.log);
    return opened;
  }

  const SMALL = { 'max.message.bytes': '100000' };

  test("C39 refuses what is over the topic's own limit, and stores its neighbours", async () => {
    const small = await makeTopic(brokers, 4, SMALL);
    const usual = await makeTopic(brokers, 4);
    const { log } = open([small, usual]);
    const large = randomBytes(150_000);
    expect(await log.append([record(small, 'a'), record(small, large), record(small, 'b')])).toEqual([
      'stored',
      'too_large',
      'stored',
    ]);
    expect(await log.append([record(usual, large), record(small, large)])).toEqual(['stored', 'too_large']);
    expect(await valuesOf(brokers, small)).toEqual(['a', 'b']);
  });

  test('C39 counts keys and headers', async () => {
    const topic = await makeTopic(brokers, 4, SMALL);
    const { log } = open([topic]);
    const long = 'x'.repeat(100_000);
    const verdicts = await log.append([
      record(topic, 'a', null, { note: long }),
      record(topic, 'b', null, { [long]: '' }),
      record(topic, 'c', long),
      record(topic, 'd', null, { note: 'ü'.repeat(50_000) }),
      record(topic, 'e', null, { note: new Uint8Array(100_000) }),
      record(topic, 'f'),
      record(topic, 'g', null, { note: 'x'.repeat(99_000) }),
    ]);
    expect(verdicts).toEqual([...Array(5).fill('too_large'), 'stored', 'stored']);
    expect(await valuesOf(brokers, topic)).toEqual(['f', 'g']);
  });

  test('C39 is right up to the last byte: what is not refused is stored', async () => {
    const topic = await makeTopic(brokers, 1, SMALL);
    const { log } = open([topic]);
    let stored = 0;
    for (let size = 99_700; size <= 100_000; size += 10) {
      const [verdict] = await log.append([record(topic, randomBytes(size), 'k', { name: 'value' })]);
      expect(verdict).not.toBe('failed');
      if (verdict === 'stored') stored++;
    }
    expect(stored).toBeGreaterThan(10);
    expect(await counts(brokers, topic)).toEqual([stored]);
  });

  test.each(['none', 'gzip'] as const)(
    'C39 splits a group that is over the limit and sends each part once, in order (%s)',
    async (compression) => {
      const topic = await makeTopic(brokers, 4, SMALL);
      const { log } = open([topic], { compression });
      const records = Array.from({ length: 200 }, (_, i) =>
        record(topic, `${i} ${randomBytes(500).toString('hex')}`, 'one key'),
      );
      expect(await log.append(records)).toEqual(records.map(() => 'stored'));
      const back = (await readBack(brokers, topic)).map(({ message }) => parseInt(String(message.value), 10));
      expect(back).toEqual(records.map((_, i) => i));
    },
  );

  test('C39 settles honestly when the limit is lowered meanwhile, and knows it afterwards', async () => {
    const topic = await makeTopic(brokers, 1);
    const { log } = open([topic]);
    expect(await log.append([record(topic, 'a')])).toEqual(['stored']);
    await withPlainAdmin(brokers, (admin) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            type: ConfigResourceTypes.TOPIC,
            name: topic,
            configEntries: [{ name: 'max.message.bytes', value: '10000' }],
          },
        ],
      }),
    );
    // The broker heeds the new limit a moment after it has confirmed it.
    const verdict = await vi.waitFor(async () => {
      const [one] = await log.append([record(topic, randomBytes(50_000))]);
      expect(one).not.toBe('stored');
      return one;
    }, 30_000);
    expect(verdict).toBe('failed');
    expect(await log.append([record(topic, randomBytes(50_000)), record(topic, 'b')])).toEqual([
      'too_large',
      'stored',
    ]);
    expect((await valuesOf(brokers, topic)).filter((value) => value.length === 1)).toEqual(['a', 'b']);
  });

  test('C44 puts each key where other clients put it', async () => {
    const topic = await makeTopic(brokers, 12);
    const { log } = open([topic]);
    const records = Array.from({ length: 500 }, () => record(topic, 'x', randomUUID()));
    expect(await log.append(records)).toEqual(records.map(() => 'stored'));
    const partitioner = Partitioners.DefaultPartitioner();
    const partitionMetadata = Array.from({ length: 12 }, (_, partitionId) => ({
      partitionId,
      partitionErrorCode: 0,
      leader: 1,
      replicas: [1],
      isr: [1],
    }));
    for (const { partition, message } of await readBack(brokers, topic)) {
      expect(partition).toBe(partitioner({ topic, partitionMetadata, message }));
    }
  });

  test('C44 spreads records without key over the partitions, yet in large batches', async () => {
    const topic = await makeTopic(brokers, 12);
    const { log } = open([topic]);
    for (let i = 0; i < 24; i++) {
      // Null and empty are the same: no key.
      const records = Array.from({ length: 100 }, (_, j) => record(topic, `${i}`, j % 2 === 0 ? null : ''));
      expect(await log.append(records)).toEqual(records.map(() => 'stored'));
    }
    expect(await counts(brokers, topic)).toEqual(Array(12).fill(200));
    const places = new Map<string, Set<number>>();
    for (const { partition, message } of await readBack(brokers, topic)) {
      const value = String(message.value);
      places.set(value, (places.get(value) ?? new Set()).add(partition));
    }
    expect([...places.values()].map((partitions) => partitions.size)).toEqual(Array(24).fill(1));
  });

  test('C37 stores each record once, however many appends to a topic are made at once', async () => {
    const topics = [await makeTopic(brokers, 1), await makeTopic(brokers, 4)];
    const { log } = open(topics);
    const appends = Array.from({ length: 200 }, (_, i) =>
      log.append([record(topics[0]!, `${i}`), record(topics[1]!, `${i}`, `${i}`)]),
    );
    expect((await Promise.all(appends)).flat()).toEqual(Array(400).fill('stored'));
    const all = Array.from({ length: 200 }, (_, i) => `${i}`).sort();
    expect(await valuesOf(brokers, topics[0]!)).toEqual(all);
    expect(await valuesOf(brokers, topics[1]!)).toEqual(all);
  });

  test('C42 fails the records of a topic that is not there and no others, and goes on when it is', async () => {
    const there = await makeTopic(brokers, 4);
    const late = `late-${randomUUID()}`;
    const { log } = open([there, late]);
    expect(await log.append([record(there, 'a'), record(late, 'b'), record(there, 'c')])).toEqual([
      'stored',
      'failed',
      'stored',
    ]);
    await vi.waitFor(() => expect(log.problem()).toContain(late));
    await makeTopics(brokers, [late], 4);
    await vi.waitFor(() => expect(log.problem()).toBeNull(), { timeout: 30_000 });
    expect(await log.append([record(late, 'b')])).toEqual(['stored']);
  });

  test.each(['..', 'x'.repeat(250), 'with space'])(
    'C42 fails a topic name that Kafka refuses: %j',
    async (bad) => {
      const topic = await makeTopic(brokers, 1);
      const { log } = open([topic]);
      expect(await log.append([record(topic, 'a'), record(bad, 'b')])).toEqual(['stored', 'failed']);
      expect(await log.append([record(topic, 'c')])).toEqual(['stored']);
    },
  );

  test("C42 creates missing topics with the broker's defaults when asked to", async () => {
    const topic = `made-${randomUUID()}`;
    const wide = `wide-${randomUUID()}`;
    open([topic], { create: { partitions: 0, replication: -1 } });
    open([wide], { create: { partitions: 7, replication: 1 } });
    const made = await vi.waitFor(
      () => withPlainAdmin(brokers, (admin) => admin.fetchTopicMetadata({ topics: [topic, wide] })),
      { timeout: 30_000 },
    );
    const sizes = new Map(made.topics.map(({ name, partitions }) => [name, partitions.length]));
    expect([sizes.get(topic), sizes.get(wide)]).toEqual([4, 7]);
  });

  test('C38 C42 goes on when a topic is deleted and made again', async () => {
    const topic = await makeTopic(brokers, 2);
    const other = await makeTopic(brokers, 2);
    const { log } = open([topic, other]);
    const records = ['a', 'b', 'c'].map((value) => record(topic, value, 'k'));
    expect(await log.append([...records, record(other, 'x')])).toEqual(Array(4).fill('stored'));
    await withPlainAdmin(brokers, (admin) => admin.deleteTopics({ topics: [topic] }));
    // It takes a moment until the broker has let go of it.
    await vi.waitFor(
      async () => expect(await log.append([record(topic, 'lost')])).toEqual(['failed']),
      30_000,
    );
    expect(await log.append([record(topic, 'lost'), record(other, 'y')])).toEqual(['failed', 'stored']);
    await makeTopics(brokers, [topic], 2);
    await vi.waitFor(async () => expect(await log.append([record(topic, 'd', 'k')])).toEqual(['stored']), {
      timeout: 30_000,
    });
    expect(await log.append([record(topic, 'e', 'k')])).toEqual(['stored']);
    expect((await valuesOf(brokers, topic)).filter((value) => value !== 'd')).toEqual(['e']);
    expect(await valuesOf(brokers, other)).toEqual(['x', 'y']);
  });
});
