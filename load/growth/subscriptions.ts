import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafkajs, { type Admin } from 'kafkajs';
import { freePort } from '../../test/services/free-port.ts';
import { startKafka } from '../../test/services/kafka.ts';
import { until } from '../../test/services/until.ts';
import { appendClicks } from '../client/topic.ts';
import { startNode, stopNode } from '../rig/process.ts';
import { program } from '../rig/program.ts';
import { cpuMicros } from '../rig/usage.ts';

const TOPIC = 'scale';

/** CPU of a dispatcher in microseconds per event, where `count` subscriptions read a topic and at most one of them wants an event. */
export async function subscriptionCost(count: number, events: number): Promise<number> {
  const kafka = await startKafka();
  const folder = await mkdtemp(join(tmpdir(), 'postern-scale-'));
  const functionPort = await freePort();
  const target = await startNode(['load/dispatch/function.ts', String(functionPort), '0', '0'], /ready/);
  const admin = new kafkajs.Kafka({ clientId: 'load', brokers: [kafka.brokers], logLevel: 0 }).admin();
  try {
    await appendClicks(kafka.brokers, TOPIC, events, (n) => `type-${n % 100}`);
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
function committed(admin: Admin, groupId: string, events: number): Promise<void> {
  const isDone = async () => {
    const [found] = await admin.fetchOffsets({ groupId, topics: [TOPIC] });
    return found!.partitions.reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0) >= events;
  };
  // A group that is new to Kafka has no answer at first.
  const isDoneOrBusy = () =>
    isDone().catch((error: Error & { retriable?: boolean }) => {
      if (!error.retriable) throw error;
      return false;
    });
  return until(`${groupId} has read ${events} events`, isDoneOrBusy, { ms: 600_000, every: 100 });
}
