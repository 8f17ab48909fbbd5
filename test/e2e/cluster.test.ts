import kafkajs from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { type Kafka, startKafka, startKafkaCluster } from '../services/kafka.ts';
import { until } from '../services/until.ts';
import { kafkaClient, readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';

const prefix = `cluster-${crypto.randomUUID().slice(0, 8)}`;
let project: Project;
let postern: Postern;

async function open(yaml: string): Promise<void> {
  project = await makeProject({
    yaml: `${yaml}\ndedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' } }\n`,
  });
  postern = await startPostern(project, { command: ['serve', '--role', 'gateway'] });
}

afterEach(async () => {
  postern.kill('SIGKILL');
  await postern.exited;
  await project.remove();
});

async function send(source: string, id: string): Promise<number> {
  const response = await fetch(`${postern.url}/events/${source}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id }),
  });
  await response.arrayBuffer();
  return response.status;
}

describe('three brokers', () => {
  let brokers: Kafka[];
  beforeAll(async () => {
    brokers = await startKafkaCluster(3);
  }, 180_000);
  afterAll(() => Promise.all(brokers.map((broker) => broker.stop())));

  it('C42 goes on without one of them, refuses truthfully without two, and loses nothing', async () => {
    const list = brokers.map((broker) => broker.brokers).join(',');
    await open(`
log: { kafka: { brokers: [${list}], create: { partitions: 6, replication: 3 } }, timeout: 5s }
sources: { s: { topic: ${prefix}, id: [/id], key: /id } }`);
    const acknowledged: string[] = [];
    const refused = new Set<string>();
    let next = 0;
    /** A careful client: sends an id again until it is taken. */
    const deliver = async (id: string): Promise<void> => {
      const isTaken = async () => {
        const status = await send('s', id);
        if (status !== 202) refused.add(id);
        return status === 202;
      };
      await until(`${id} is taken`, isTaken, { ms: 120_000, every: 0 });
      acknowledged.push(id);
    };
    const some = (count: number) => Promise.all(Array.from({ length: count }, () => deliver(`e-${next++}`)));
    await some(50);

    // Each partition has one leader, so that a third of them moves.
    brokers[2]!.kill('SIGKILL');
    await some(50);

    brokers[1]!.kill('SIGKILL');
    await vi.waitFor(async () => expect(await send('s', 'alone')).toBe(503), {
      timeout: 30_000,
      interval: 10,
    });
    refused.add('alone');
    const waiting = some(50);
    await Promise.all([brokers[1]!.restart(), brokers[2]!.restart()]);
    await waiting;
    await deliver('alone');

    const stored = new Map<string, number>();
    for (const { key } of await readTopic(list, prefix)) {
      stored.set(String(key), (stored.get(String(key)) ?? 0) + 1);
    }
    expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
    // An event that was answered 503 may have been stored all the same. Then it is there twice.
    const twice = [...stored].filter(([id, copies]) => copies > 1 && !refused.has(id));
    expect(twice).toEqual([]);
  }, 180_000);
});

describe('a broker with access control', () => {
  let kafka: Kafka;
  beforeAll(async () => {
    kafka = await startKafka({
      config: {
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'allow.everyone.if.no.acl.found': 'true',
      },
    });
  }, 120_000);
  afterAll(() => kafka.stop());

  it('C42 a right that is withdrawn fails that topic alone, until it is given back', async () => {
    await open(`
log: { kafka: { brokers: ['${kafka.brokers}'], create: {} } }
sources: { denied: { topic: ${prefix}.denied, id: [/id] }, open: { topic: ${prefix}.open, id: [/id] } }`);
    expect([await send('denied', '1'), await send('open', '1')]).toEqual([202, 202]);
    const admin = kafkaClient(kafka.brokers).admin();
    await admin.connect();
    const { AclResourceTypes, AclOperationTypes, AclPermissionTypes, ResourcePatternTypes } = kafkajs;
    const acl = {
      resourceType: AclResourceTypes.TOPIC,
      resourceName: `${prefix}.denied`,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: 'User:ANONYMOUS',
      host: '*',
      operation: AclOperationTypes.WRITE,
      permissionType: AclPermissionTypes.DENY,
    };
    await admin.createAcls({ acl: [acl] });
    await vi.waitFor(async () => expect(await send('denied', crypto.randomUUID())).toBe(503), {
      timeout: 20_000,
    });
    expect(await send('open', '2')).toBe(202);
    await admin.deleteAcls({ filters: [acl] });
    await admin.disconnect();
    await vi.waitFor(async () => expect(await send('denied', 'again')).toBe(202), { timeout: 20_000 });
    expect((await readTopic(kafka.brokers, `${prefix}.open`)).length).toBe(2);
  }, 90_000);
});
