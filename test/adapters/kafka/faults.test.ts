import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection, describeProducersV0, parseBroker } from '@platformatic/kafka';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { EventLog } from '../../../src/ports/event-log.ts';
import { record } from '../../contracts/collector.ts';
import { type Kafka, startKafka } from '../../services/kafka.ts';
import { CLIENTS, counts, makeTopic, openLog, valuesOf } from './setting.ts';

let kafka: Kafka;
/** Forgets producers after a second. A restart of such a broker would let records that are sent again in twice. */
let forgetful: Kafka;
const logs: EventLog[] = [];

beforeAll(async () => {
  [kafka, forgetful] = await Promise.all([
    startKafka(),
    startKafka({
      config: { 'producer.id.expiration.ms': '1000', 'producer.id.expiration.check.interval.ms': '200' },
    }),
  ]);
});

afterEach(async () => {
  await Promise.all(logs.splice(0).map((log) => log.close()));
});

afterAll(() => Promise.all([kafka.stop(), forgetful.stop()]));

/** The producers of the topic's first partition that the broker knows. */
async function producersOf({ brokers }: Kafka, name: string): Promise<unknown[]> {
  const { host, port } = parseBroker(brokers);
  const connection = new Connection('test');
  await connection.connect(host, port);
  try {
    const { topics } = await describeProducersV0.api.async(connection, [{ name, partitionIndexes: [0] }]);
    return topics[0]!.partitions[0]!.activeProducers;
  } finally {
    await connection.close();
  }
}

describe.each(CLIENTS)('%s', (client) => {
  function open(brokers: string, topics: string[]): EventLog {
    const { log } = openLog(brokers, topics, { client });
    logs.push(log);
    return log;
  }

  /** Appends ten records at a time until told to stop; every value is sent once. */
  function load(log: EventLog, topic: string): { stop(): Promise<{ stored: string[]; failed: string[] }> } {
    const stored: string[] = [];
    const failed: string[] = [];
    let running = true;
    const work = (async () => {
      for (let n = 0; running; n += 10) {
        const values = Array.from({ length: 10 }, (_, i) => `${n + i}`);
        const verdicts = await log.append(values.map((value) => record(topic, value, value)));
        for (let i = 0; i < values.length; i++) {
          expect(['stored', 'failed']).toContain(verdicts[i]);
          (verdicts[i] === 'stored' ? stored : failed).push(values[i]!);
        }
        // Only the pace of the load: nothing is waited for.
        await sleep(1);
      }
    })();
    return {
      stop: async () => {
        running = false;
        await work;
        return { stored, failed };
      },
    };
  }

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'C38 C40 every record that was called stored is in the log once, over a restart (%s)',
    async (signal) => {
      const topic = await makeTopic(kafka.brokers, 4);
      const log = open(kafka.brokers, [topic]);
      await vi.waitFor(() => expect(log.problem()).toBeNull(), { timeout: 30_000 });
      const running = load(log, topic);
      kafka.kill(signal);
      await kafka.restart();
      await vi.waitFor(async () => expect(await log.append([record(topic, 'end')])).toEqual(['stored']), {
        timeout: 30_000,
      });
      const { stored, failed } = await running.stop();
      expect(stored.length).toBeGreaterThan(0);
      const found = (await valuesOf(kafka.brokers, topic)).filter((value) => value !== 'end');
      expect(new Set(found).size).toBe(found.length);
      const missing = new Set(stored).difference(new Set(found));
      expect([...missing]).toEqual([]);
      const unknown = new Set(found).difference(new Set([...stored, ...failed]));
      expect([...unknown]).toEqual([]);
    },
  );

  test('C40 says failed while the broker is gone, and takes the same records when it is back', async () => {
    const topic = await makeTopic(kafka.brokers, 1);
    const log = open(kafka.brokers, [topic]);
    expect(await log.append([record(topic, 'before')])).toEqual(['stored']);
    kafka.kill('SIGKILL');
    const records = ['a', 'b', 'c'].map((value) => record(topic, value));
    expect(await log.append(records)).toEqual(['failed', 'failed', 'failed']);
    await vi.waitFor(() => expect(log.problem()).toContain(kafka.brokers), { timeout: 30_000 });
    await kafka.restart();
    await vi.waitFor(() => expect(log.problem()).toBeNull(), { timeout: 30_000 });
    expect(await log.append(records)).toEqual(['stored', 'stored', 'stored']);
    expect(await valuesOf(kafka.brokers, topic)).toEqual(['a', 'b', 'before', 'c']);
  });

  test('C40 C41 settles and closes while the broker hangs, and goes on when it answers again', async () => {
    const topic = await makeTopic(kafka.brokers, 1);
    const log = open(kafka.brokers, [topic]);
    const other = open(kafka.brokers, [topic]);
    expect(await log.append([record(topic, 'before')])).toEqual(['stored']);
    expect(await other.append([record(topic, 'before')])).toEqual(['stored']);
    kafka.kill('SIGSTOP');
    try {
      const waiting = Array.from({ length: 50 }, (_, i) => other.append([record(topic, `waiting ${i}`)]));
      const closed = other.close();
      expect(await log.append([record(topic, 'hanging')])).toEqual(['failed']);
      expect((await Promise.all(waiting)).flat()).toEqual(Array(50).fill('failed'));
      await closed;
    } finally {
      kafka.kill('SIGCONT');
    }
    await vi.waitFor(async () => expect(await log.append([record(topic, 'after')])).toEqual(['stored']), {
      timeout: 30_000,
    });
  });

  test('C38 goes on when the broker has forgotten the producer', async () => {
    const topic = await makeTopic(forgetful.brokers, 1);
    const log = open(forgetful.brokers, [topic]);
    for (let i = 0; i < 5; i++) expect(await log.append([record(topic, `${i}`)])).toEqual(['stored']);
    await vi.waitFor(async () => expect(await producersOf(forgetful, topic)).toEqual([]), 30_000);
    const [verdict] = await log.append([record(topic, '5')]);
    if (verdict === 'failed') expect(await log.append([record(topic, '5')])).toEqual(['stored']);
    expect(await counts(forgetful.brokers, topic)).toEqual([6]);
  });

  test('C41 opens without a broker, fails at once, and works when one appears', async () => {
    const spare = createServer().listen(0, '127.0.0.1');
    await once(spare, 'listening');
    const { port } = spare.address() as { port: number };
    spare.close();
    const topic = 'late';
    const { log } = openLog(`127.0.0.1:${port}`, [topic], {
      client,
      create: { partitions: 1, replication: 1 },
    });
    logs.push(log);
    expect(log.problem()).not.toBeNull();
    expect(await log.append([record(topic, 'a')])).toEqual(['failed']);
    const second = await startKafka({ port });
    try {
      await vi.waitFor(() => expect(log.problem()).toBeNull(), { timeout: 30_000 });
      await vi.waitFor(async () => expect(await log.append([record(topic, 'b')])).toEqual(['stored']), {
        timeout: 30_000,
      });
      await log.close();
    } finally {
      await second.stop();
    }
  });

  test('C41 fails and closes when a broker takes connections and resets them', async () => {
    const server = createServer((socket) => socket.resetAndDestroy()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const log = open(`127.0.0.1:${port}`, ['t']);
    expect(await log.append([record('t', 'a')])).toEqual(['failed']);
    await vi.waitFor(() => expect(log.problem()).toContain(`${port}`));
    await log.close();
    server.close();
  });
});
