// `node load/down.ts`: a function that is down for minutes. What becomes of its backlog, and of the other subscription's latency.
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import kafkajs from 'kafkajs';
import { freePort } from '../test/services/free-port.ts';
import { startKafka } from '../test/services/kafka.ts';
import { startNode, stopNode } from './process.ts';

const { values: options } = parseArgs({
  options: { minutes: { type: 'string', default: '5' }, rate: { type: 'string', default: '100' } },
});
const down = Number(options.minutes) * 60_000;
const rate = Number(options.rate);
const KEYS = 50;
const WARM_MS = 20_000;
const TICK_MS = 100;

/** What a function was called with, and how late: milliseconds from the append to the call. */
interface Taken {
  numbers: Map<string, number[]>;
  late: { at: number; ms: number }[];
}

const [up, failing] = [emptyTaken(), emptyTaken()];
let isDown = false;
const [good, bad] = [await listen(up, () => 200), await listen(failing, () => (isDown ? 503 : 200))];
const kafka = await startKafka();
const folder = await mkdtemp(join(tmpdir(), 'postern-down-'));
const config = join(folder, 'postern.yaml');
await writeFile(
  config,
  `admin: { listen: 127.0.0.1:${await freePort()} }
log: { kafka: { brokers: ['${kafka.brokers}'], create: { partitions: 4 } } }
dedupe: { embedded: {} }
subscriptions:
  up: { topics: [down], order: key, function: { http: { url: '${urlOf(good)}' } } }
  failing: { topics: [down], order: key, function: { http: { url: '${urlOf(bad)}' } } }
`,
);
const client = new kafkajs.Kafka({ clientId: 'load', brokers: [kafka.brokers], logLevel: 0 });
const [admin, producer] = [client.admin(), client.producer()];
const dispatcher = await startNode(
  ['src/main.ts', 'serve', '--role', 'dispatcher', '--config', config],
  /"msg":"ready"/,
);
try {
  await Promise.all([admin.connect(), producer.connect()]);
  await main();
} finally {
  await Promise.all([admin.disconnect(), producer.disconnect()]);
  await stopNode(dispatcher);
  await kafka.stop();
  for (const server of [good, bad]) server.close();
  await rm(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const started = performance.now();
  let sent = 0;
  const ends = started + WARM_MS + down;
  while (performance.now() < ends) {
    isDown = performance.now() > started + WARM_MS;
    const due = Math.floor(((performance.now() - started) / 1000) * rate);
    if (due > sent) await append(sent, due);
    sent = due;
    await sleep(TICK_MS);
  }
  const back = performance.now();
  isDown = false;
  while (count(failing) < sent || count(up) < sent) await sleep(TICK_MS);
  const before = p99(up.late.filter(({ at }) => at < started + WARM_MS && at > started + WARM_MS / 4));
  const during = p99(up.late.filter(({ at }) => at > started + WARM_MS && at < back));
  const dead = await storedIn('failing.dead');
  const wrong = [...failing.numbers.values()].filter((list) =>
    list.some((n, i) => i > 0 && n < list[i - 1]!),
  );
  console.log(`${sent} events at ${rate}/s, ${options.minutes} minutes down`);
  console.log(`dead letters: ${dead}; keys out of order: ${wrong.length}`);
  console.log(
    `backlog delivered ${((performance.now() - back) / 1000).toFixed(1)} s after the function was back`,
  );
  console.log(`the other subscription, append to call: p99 ${before} ms before, ${during} ms meanwhile`);
  if (dead > 0 || wrong.length > 0) process.exitCode = 1;
}

async function append(from: number, to: number): Promise<void> {
  const messages = Array.from({ length: to - from }, (_, i) => {
    const n = from + i;
    const headers = { ce_specversion: '1.0', ce_id: String(n), ce_source: '/load', ce_type: 't' };
    return {
      key: `k${n % KEYS}`,
      value: JSON.stringify({ key: `k${n % KEYS}`, n, at: performance.now() }),
      headers,
    };
  });
  await producer.send({ topic: 'down', messages });
}

async function storedIn(topic: string): Promise<number> {
  const offsets = await admin.fetchTopicOffsets(topic);
  return offsets.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
}

function emptyTaken(): Taken {
  return { numbers: new Map(), late: [] };
}

async function listen(taken: Taken, answer: () => number): Promise<Server> {
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const status = answer();
    if (status === 200) {
      const { key, n, at } = JSON.parse(text) as { key: string; n: number; at: number };
      const list = taken.numbers.get(key) ?? [];
      taken.numbers.set(key, list);
      list.push(n);
      taken.late.push({ at, ms: performance.now() - at });
    }
    response.writeHead(status).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

function count({ numbers }: Taken): number {
  return [...numbers.values()].reduce((sum, list) => sum + new Set(list).size, 0);
}

function p99(late: Taken['late']): string {
  const sorted = late.map(({ ms }) => ms).sort((a, b) => a - b);
  return (sorted[Math.floor(sorted.length * 0.99)] ?? 0).toFixed(0);
}
