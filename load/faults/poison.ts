// `node load/poison.ts`: one request of events that the function answers with 500, and good events beside it all the time. How late the good ones are, and how soon the bad ones are dead letters.
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
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
  options: {
    poison: { type: 'string', default: '2500' },
    /** Good events a second. */
    rate: { type: 'string', default: '20' },
    /** Milliseconds that the function takes for an answer. */
    ms: { type: 'string', default: '0' },
    order: { type: 'string', default: 'none' },
    mode: { type: 'string', default: 'binary' },
    /** Of the retry policy. */
    attempts: { type: 'string', default: '8' },
    partitions: { type: 'string', default: '4' },
  },
});
const [poison, rate, ms] = [Number(options.poison), Number(options.rate), Number(options.ms)];
const WARM_MS = 3_000;
const LONGEST_MS = 600_000;
/** Of the bad events, and as many others of the good ones. */
const KEYS = 500;

/** When each good event was sent, and first taken. */
const sent: number[] = [];
const taken: number[] = [];
let refused = 0;
const server = createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  if (ms > 0) await sleep(ms);
  const body = JSON.parse(text) as { n: number } | { data: { n: number } }[];
  const all = Array.isArray(body) ? body.map(({ data }) => data.n) : [body.n];
  const isBad = all.some((n) => n < 0);
  if (isBad) refused++;
  else for (const n of all) taken[n] ??= performance.now();
  response.writeHead(isBad ? 500 : 200).end();
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const kafka = await startKafka();
const folder = await mkdtemp(join(tmpdir(), 'postern-poison-'));
const config = join(folder, 'postern.yaml');
const port = await freePort();
await mkdir(join(folder, 'schemas'));
await writeFile(
  config,
  `gateway: { listen: 127.0.0.1:${port} }
admin: { listen: 127.0.0.1:${await freePort()} }
log: { kafka: { brokers: ['${kafka.brokers}'], create: { partitions: ${options.partitions} } } }
dedupe: { embedded: {} }
sources:
  s: { protocol: events, topic: poison, id: [/id], key: /key }
subscriptions:
  s:
    topics: [poison]
    order: ${options.order}
    function: { http: { url: 'http://127.0.0.1:${(server.address() as AddressInfo).port}/', mode: ${options.mode} } }
    retry: { attempts: ${options.attempts} }
`,
);
const client = new kafkajs.Kafka({ clientId: 'load', brokers: [kafka.brokers], logLevel: 0 });
const admin = client.admin();
const postern = await startNode(['src/main.ts', 'serve', '--config', config], /"msg":"ready"/);
try {
  await admin.connect();
  await main();
} finally {
  await admin.disconnect();
  await stopNode(postern);
  await kafka.stop();
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  // A topic that is new to Kafka is not read at once.
  while (taken.filter(Boolean).length < 50) {
    await post([sent.push(performance.now()) - 1]);
    await sleep(50);
  }
  await sleep(WARM_MS);
  const first = sent.length;
  const begun = performance.now();
  let [poisoned, looked, dead] = [0, 0, 0];
  while (dead < poison && performance.now() < begun + LONGEST_MS) {
    const now = performance.now();
    if (poisoned === 0 && now > begun + WARM_MS) {
      poisoned = now;
      // Not waited for: the good ones go on.
      post(Array.from({ length: poison }, (_, i) => -1 - i)).catch(failed);
    }
    const from = sent.length;
    const due = first + Math.floor(((now - begun) / 1000) * rate);
    for (let n = from; n < due; n++) sent.push(now);
    if (due > from) post(Array.from({ length: due - from }, (_, i) => from + i)).catch(failed);
    if (now > looked + 500) {
      // Its leader may not be known yet.
      dead = await stored('s.dead').catch(() => dead);
      looked = now;
    }
    await sleep(10);
  }
  const last = (performance.now() - poisoned) / 1000;
  const end = performance.now() + 30_000;
  while (sent.some((_, n) => taken[n] === undefined) && performance.now() < end) await sleep(50);
  const isDone = dead === poison && sent.every((_, n) => taken[n] !== undefined);
  const late = sent
    .map((at, n) => (taken[n] ?? Number.POSITIVE_INFINITY) - at)
    .slice(first)
    .sort((a, b) => a - b);
  const at = (part: number) => late[Math.min(late.length - 1, Math.floor(late.length * part))]!.toFixed(0);
  console.log(`${poison} bad events in one request, ${late.length} good ones at ${rate}/s, ${ms} ms a call`);
  console.log(`good, request to call: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`);
  console.log(
    `dead letters: ${dead}, the last after ${last.toFixed(1)} s; ${refused} calls answered with 500`,
  );
  if (!isDone || Number(at(0.99)) > 5_000) process.exitCode = 1;
}

function failed(error: unknown): void {
  console.error(error);
  process.exitCode = 1;
}

async function post(numbers: number[]): Promise<void> {
  const body = JSON.stringify(
    numbers.map((n) => ({ id: String(n), key: n < 0 ? `bad${-n % KEYS}` : `k${n % KEYS}`, n })),
  );
  const reply = await fetch(`http://127.0.0.1:${port}/events/s`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  if (reply.status !== 202) throw new Error(`${reply.status} ${await reply.text()}`);
}

async function stored(topic: string): Promise<number> {
  const offsets = await admin.fetchTopicOffsets(topic);
  return offsets.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
}
