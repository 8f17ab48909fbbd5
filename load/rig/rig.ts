import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafkajs from 'kafkajs';
import { freePort } from '../../test/services/free-port.ts';
import { type Kafka, startKafka } from '../../test/services/kafka.ts';
import { type RedisServer, startRedis } from '../../test/services/redis.ts';
import { schemas } from '../client/events.ts';
import { storedIn } from '../client/topic.ts';
import { type NodeProcess, startNode, stopNode } from './process.ts';
import { program } from './program.ts';

/** A gateway with a Kafka and a Redis of its own. */
export interface Rig {
  url: string;
  admin: string;
  gateway: NodeProcess;
  kafka: Kafka;
  redis: RedisServer;
  /** Starts one more gateway on the same Kafka and Redis. */
  another(): Promise<Gateway>;
  /** Makes a topic like the gateway's. */
  create(topic: string): Promise<void>;
  /** Records that a topic holds. */
  storedIn(topic: string): Promise<number>;
  stop(): Promise<void>;
}

export interface Gateway {
  url: string;
  admin: string;
  gateway: NodeProcess;
}

export interface RigOptions {
  /** Arguments for the gateway's Node. */
  node?: string[];
  /** Further settings of `log`, in YAML: `, name: value`. */
  log?: string;
  /** Number of further sources click0, click1, ... with a topic each. */
  sources?: number;
  /** `log.kafka.client` */
  client?: string;
}

/** Starts Kafka, Redis and a gateway. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const { node = [], log = '', sources = 0, client = 'kafkajs' } = options;
  const folder = await mkdtemp(join(tmpdir(), 'postern-load-'));
  const [kafka, redis] = await Promise.all([startKafka(), startRedis()]);
  await writeFile(join(folder, 'click.json'), JSON.stringify(schemas.click));
  await writeFile(join(folder, 'iot.json'), JSON.stringify(schemas.iot));
  const more = Array.from({ length: sources }, (_, i) => clickSource(`click${i}`)).join('');
  const running: Gateway[] = [];

  async function another(): Promise<Gateway> {
    const [port, adminPort] = [await freePort(), await freePort()];
    const config = join(folder, `postern-${port}.yaml`);
    await writeFile(
      config,
      `gateway: { listen: 127.0.0.1:${port}, limits: { connections: 12000, connectionsPerAddress: 12000 } }
admin: { listen: 127.0.0.1:${adminPort} }
log: { kafka: { brokers: ['${kafka.brokers}'], client: ${client}, create: { partitions: 4 } }${log} }
dedupe: { redis: { url: '${redis.url}' } }
schemas: ${folder}
sources:
  iot: { protocol: events, topic: iot, id: [/id], type: sensor.reading, time: /ts, key: /deviceId, schema: iot, keys: [load-iot] }
${clickSource('click')}${more}`,
    );
    const args = [...node, ...(await program()), 'serve', '--role', 'gateway', '--config', config];
    const gateway = await startNode(args, /"msg":"ready"/);
    const one = { url: `http://127.0.0.1:${port}`, admin: `http://127.0.0.1:${adminPort}`, gateway };
    running.push(one);
    return one;
  }

  const first = await another();
  const admin = new kafkajs.Kafka({ clientId: 'load', brokers: [kafka.brokers], logLevel: 0 }).admin();
  await admin.connect();
  return {
    ...first,
    kafka,
    redis,
    another,
    async create(topic) {
      await admin.createTopics({ topics: [{ topic, numPartitions: 4 }], waitForLeaders: false });
    },
    storedIn: (topic) => storedIn(admin, topic),
    async stop() {
      await admin.disconnect();
      await Promise.all(running.map(({ gateway }) => stopNode(gateway)));
      await Promise.all([kafka.stop(), redis.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function clickSource(name: string): string {
  return `  ${name}: { protocol: events, topic: ${name}, id: [/id], type: /type, time: /timestamp, key: /anonymousId, schema: click, keys: [load-${name}] }\n`;
}
