// `node load/order.ts`: deliveries in the order of keys, how fast they are beside what the function allows, and with `--chaos` over a kill -9 and rebalances.
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import kafkajs from 'kafkajs';
import { disorder, OrderedFunction } from '../test/e2e/ordered-function.ts';
import { freePort } from '../test/services/free-port.ts';
import { startKafka } from '../test/services/kafka.ts';
import { startNode, stopNode } from './process.ts';

const { values: options } = parseArgs({
  options: {
    events: { type: 'string', default: '100000' },
    keys: { type: 'string', default: '1000' },
    concurrency: { type: 'string', default: '64' },
    ms: { type: 'string', default: '50' },
    failing: { type: 'string', default: '0.05' },
    partitions: { type: 'string', default: '12' },
    chaos: { type: 'boolean', default: false },
  },
});
const [events, keys] = [Number(options.events), Number(options.keys)];
const [concurrency, ms] = [Number(options.concurrency), Number(options.ms)];
const BATCH = 5_000;

const target = new OrderedFunction({ ms, failing: Number(options.failing) });
const url = await target.listen();
const kafka = await startKafka();
const folder = await mkdtemp(join(tmpdir(), 'postern-order-'));
const running: ChildProcess[] = [];
try {
  await append();
  await deliver();
} finally {
  for (const child of running) if (child.exitCode === null && !child.killed) await stopNode(child);
  target.close();
  await kafka.stop();
  await rm(folder, { recursive: true, force: true });
}

async function append(): Promise<void> {
  const client = new kafkajs.Kafka({ clientId: 'load', brokers: [kafka.brokers], logLevel: 0 });
  const [admin, producer] = [client.admin(), client.producer()];
  await Promise.all([admin.connect(), producer.connect()]);
  await admin.createTopics({ topics: [{ topic: 'order', numPartitions: Number(options.partitions) }] });
  for (let from = 0; from < events; from += BATCH) {
    const messages = Array.from({ length: Math.min(BATCH, events - from) }, (_, i) => {
      const [key, number] = [`k${(from + i) % keys}`, Math.floor((from + i) / keys)];
      const headers = { ce_specversion: '1.0', ce_id: `${key}/${number}`, ce_source: '/load', ce_type: 't' };
      return { key, value: '{}', headers };
    });
    await producer.send({ topic: 'order', messages });
  }
  await Promise.all([admin.disconnect(), producer.disconnect()]);
}

async function startDispatcher(): Promise<ChildProcess> {
  const config = join(folder, `${running.length}.yaml`);
  await writeFile(
    config,
    `admin: { listen: 127.0.0.1:${await freePort()} }
log: { kafka: { brokers: ['${kafka.brokers}'], create: {} } }
dedupe: { embedded: {} }
subscriptions:
  order:
    topics: [order]
    function: { http: { url: '${url}' } }
    order: key
    concurrency: ${concurrency}
    retry: { attempts: 20, min: 100ms, max: 1s }
`,
  );
  const args = ['src/main.ts', 'serve', '--role', 'dispatcher', '--config', config];
  const child = await startNode(args, /"msg":"ready"/);
  running.push(child);
  return child;
}

async function deliver(): Promise<void> {
  const first = await startDispatcher();
  await reached(0.05);
  const started = performance.now();
  const before = target.delivered + target.failed;
  const busy = target.busy;
  if (options.chaos) {
    const second = await startDispatcher();
    await reached(0.3);
    first.kill('SIGKILL');
    await startDispatcher();
    await reached(0.8);
    await stopNode(second);
  }
  await reached(0.95);
  const elapsed = performance.now() - started;
  const rate = ((target.delivered + target.failed - before) / elapsed) * 1000;
  const atOnce = (target.busy - busy) / elapsed;
  await reached(1);
  if (!options.chaos) {
    const share = (100 * rate * ms) / concurrency / 1000;
    console.log(
      `${rate.toFixed(0)} calls/s, ${share.toFixed(0)} % of what ${concurrency} calls of ${ms} ms allow`,
    );
    // On a machine with much else to do a call takes longer than that.
    console.log(`${atOnce.toFixed(1)} calls at once on average`);
  }
  const wrong = [...target.successes].flatMap(([, numbers]) => disorder(numbers, 5) ?? []);
  console.log(
    `${target.different} events delivered, ${target.delivered - target.different} of them again, ${target.failed} calls failed`,
  );
  console.log(`${wrong.length} of ${keys} keys out of order; ${target.met} calls met another of their key`);
  if (wrong.length > 0) process.exitCode = 1;
}

async function reached(share: number): Promise<void> {
  while (target.different < events * share) await sleep(50);
}
