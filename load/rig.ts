import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../test/services/free-port.ts';
import { type Kafka, startKafka } from '../test/services/kafka.ts';
import { type RedisServer, startRedis } from '../test/services/redis.ts';
import { schemas } from './events.ts';
import { startNode, stopNode } from './process.ts';

/** A gateway with a Kafka and a Redis of its own. */
export interface Rig {
  url: string;
  admin: string;
  gateway: ChildProcess & { pid: number };
  kafka: Kafka;
  redis: RedisServer;
  stop(): Promise<void>;
}

/** Starts all three; `node` are arguments for the gateway's Node, `log` further settings of the log in YAML. */
export async function startRig(node: string[], log = ''): Promise<Rig> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-load-'));
  const [kafka, redis] = await Promise.all([startKafka(), startRedis()]);
  const port = await freePort();
  const adminPort = await freePort();
  await writeFile(join(folder, 'click.json'), JSON.stringify(schemas.click));
  await writeFile(join(folder, 'iot.json'), JSON.stringify(schemas.iot));
  const config = join(folder, 'postern.yaml');
  await writeFile(
    config,
    `gateway: { listen: 127.0.0.1:${port} }
admin: { listen: 127.0.0.1:${adminPort} }
log: { kafka: { brokers: ['${kafka.brokers}'], create: { partitions: 4 } }${log} }
dedupe: { redis: { url: '${redis.url}' } }
schemas: ${folder}
sources:
  click: { protocol: events, topic: click, id: [/id], type: /type, time: /timestamp, key: /anonymousId, schema: click, keys: [load-click] }
  iot: { protocol: events, topic: iot, id: [/id], type: sensor.reading, time: /ts, key: /deviceId, schema: iot, keys: [load-iot] }
`,
  );
  const gateway = await startNode(
    [...node, 'src/main.ts', 'serve', '--role', 'gateway', '--config', config],
    /"msg":"ready"/,
  );
  return {
    url: `http://127.0.0.1:${port}`,
    admin: `http://127.0.0.1:${adminPort}`,
    gateway,
    kafka,
    redis,
    async stop() {
      await stopNode(gateway);
      await Promise.all([kafka.stop(), redis.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
