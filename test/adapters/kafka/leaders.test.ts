import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { KafkaConfig } from '../../../src/config/log/types.ts';
import type { EventLog } from '../../../src/ports/event-log.ts';
import { record } from '../../contracts/collector.ts';
import { freePort } from '../../services/free-port.ts';
import { type Kafka, startKafka } from '../../services/kafka.ts';
import { type FaultyProxy, startToxiproxy, type Toxiproxy } from '../../services/toxiproxy.ts';
import { CLIENTS, counts, openLog, withPlainAdmin } from './setting.ts';

let toxiproxy: Toxiproxy;
/** Two brokers, each of which clients reach through its proxy. */
let nodes: { kafka: Kafka; proxy: FaultyProxy }[];
let log: EventLog;

beforeAll(async () => {
  toxiproxy = await startToxiproxy();
  const ports = await Promise.all(
    [1, 2].map(async (id) => ({
      id,
      direct: await freePort(),
      front: await freePort(),
      controller: await freePort(),
    })),
  );
  const voters = ports.map(({ id, controller }) => `${id}@127.0.0.1:${controller}`).join(',');
  nodes = await Promise.all(
    ports.map(async ({ id, direct, front, controller }) => {
      const behind = await freePort();
      const proxy = await toxiproxy.proxy(`kafka-${id}`, front, behind);
      const config = {
        'node.id': String(id),
        'controller.quorum.voters': voters,
        listeners: `PLAINTEXT://127.0.0.1:${direct},PROXIED://127.0.0.1:${behind},CONTROLLER://127.0.0.1:${controller}`,
        'advertised.listeners': `PLAINTEXT://127.0.0.1:${direct},PROXIED://127.0.0.1:${front}`,
        'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT',
      };
      return {
        kafka: await startKafka({ port: direct, clusterId: 'MkU3OEVBNTcwNTJENDM2Qg', config }),
        proxy,
      };
    }),
  );
}, 120_000);

afterEach(() => log.close());

afterAll(async () => {
  await Promise.all([...nodes.map(({ kafka }) => kafka.stop()), toxiproxy.stop()]);
});

/** A topic whose first partition is at the first broker, and the second at the second; and records of both. */
async function open(topic: string, changes: Partial<KafkaConfig>) {
  const { brokers } = nodes[0]!.kafka;
  await withPlainAdmin(brokers, async (admin) => {
    const replicaAssignment = [1, 2].map((id) => ({ partition: id - 1, replicas: [id] }));
    await admin.createTopics({ topics: [{ topic, replicaAssignment }], waitForLeaders: false });
    await vi.waitFor(() => admin.fetchTopicOffsets(topic), { timeout: 30_000 });
  });
  ({ log } = openLog(`127.0.0.1:${nodes[0]!.proxy.port}`, [topic], changes));
  const append = (value: string) =>
    log.append([0, 1].map((toPartition) => ({ ...record(topic, value), toPartition })));
  const appended = async () => expect(await append('before')).toEqual(['stored', 'stored']);
  await vi.waitFor(appended, { timeout: 30_000 });
  return { brokers, append, appended, before: await counts(brokers, topic) };
}

/** Cuts each connection to the second broker as soon as something is sent on it. */
const cut = () => nodes[1]!.proxy.add({ type: 'limit_data', stream: 'upstream', attributes: { bytes: 1 } });

describe.each(CLIENTS)('%s', (client) => {
  test.each(['none', 'gzip'] as const)(
    'C38 a partition that has its records is not sent them again when it moves to a broker that has not (%s)',
    async (compression) => {
      const topic = `moves-${client}-${compression}`;
      const { brokers, append, before } = await open(topic, { client, compression });
      await cut();
      const moves = append('moves');
      const more = async () => expect((await counts(brokers, topic))[0]).toBeGreaterThan(before[0]!);
      await vi.waitFor(more, { timeout: 10_000 });
      await withPlainAdmin(brokers, async (admin) => {
        const partitionAssignment = [{ partition: 0, replicas: [2] }];
        await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment }] });
        const moved = async () => {
          const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
          expect(topics[0]!.partitions.map(({ leader }) => leader)).toEqual([2, 2]);
        };
        await vi.waitFor(moved, { timeout: 10_000 });
      });
      await nodes[1]!.proxy.heal();
      expect(await moves).toEqual(['stored', 'stored']);
      expect(await append('after')).toEqual(['stored', 'stored']);
      expect(await counts(brokers, topic)).toEqual(before.map((count) => count + 2));
    },
  );

  test('C38 says stored of the partition that has its records, and failed of the one whose broker is away', async () => {
    const { append, appended } = await open(`half-${client}`, { client });
    await cut();
    expect(await append('half')).toEqual(['stored', 'failed']);
    await nodes[1]!.proxy.heal();
    await vi.waitFor(appended, { timeout: 20_000 });
  });
});
