import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type Admin } from 'kafkajs';
import { freePort } from '../test/services/free-port.ts';
import { startKafka } from '../test/services/kafka.ts';
import { appendEvents } from './dispatch.ts';
import { startNode, stopNode } from './process.ts';
import { program } from './program.ts';
import { cpuMicros } from './scenario.ts';

const TOPIC = 'scale';

/** CPU microseconds of a dispatcher an event of a topic that so many subscriptions read, each event wanted by one in a hundred of them at most. */
export async function subscriptionCost(count: number, events: number): Promise<number> {
  const kafka = await startKafka();
  const folder = await mkdtemp(join(tmpdir(), 'postern-scale-'));
  const functionPort = await freePort();
  const target = await startNode(['load/function.ts', String(functionPort), '0', '0'], /ready/);
  const admin = new kafkajs.Kafka({ clientId: 'load', brokers: [kafka.brokers], logLevel: 0 }).admin();
  try {
    await appendEvents(kafka.brokers, TOPIC, events, (n) => `type-${n % 100}`);
    const names = Array.from({ length: count }, (_, i) => `s${i}`);
    const config = join(folder, 'postern.yaml');
    const subscriptions = names.map(
      (name, i) =>
        `  ${name}: { topics: [${TOPIC}], filter: 'event.type == "type-${i}"', order: none, function: { http: { url: 'http://127.0.0.1:${functionPort}/' } } }\n`,
    );
    await writeFile(
      config,
      `admin: { listen: 127.0.0.1:${await freePort()} }
log: { kafka: { brokers: ['${kafka.brokers}'], create: {} } }
dedupe: { embedded: {} }
subscriptions:
${subscriptions.join('')}`,
    );
    const args = [...(await program()), 'serve', '--role', 'dispatcher', '--config', config];
    const dispatcher = await startNode(args, /"msg":"ready"/);
    try {
      await admin.connect();
      for (const name of names) await committed(admin, `postern.${name}`, events);
      return cpuMicros(dispatcher.pid) / events;
    } finally {
      await stopNode(dispatcher);
    }
  } finally {
    await admin.disconnect();
    await stopNode(target);
    await kafka.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Resolves when a group has got through the whole topic. */
async function committed(admin: Admin, groupId: string, events: number): Promise<void> {
  for (;;) {
    const [found] = await admin.fetchOffsets({ groupId, topics: [TOPIC] });
    const done = found!.partitions.reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0);
    if (done >= events) return;
    await sleep(100);
  }
}
