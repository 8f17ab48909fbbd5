import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { freePort } from '../../test/services/free-port.ts';
import { startKafka } from '../../test/services/kafka.ts';
import { until } from '../../test/services/until.ts';
import { storedIn } from '../client/topic.ts';
import { quantile } from '../report.ts';
import { startNode, stopNode } from '../rig/process.ts';
import { defineRun } from '../run.ts';

const WARM_MS = 3_000;
/** The bad events must be dead letters by then. */
const LONGEST_MS = 600_000;
/** The good events must be delivered by then, after the last dead letter. */
const REST_MS = 30_000;
/** Of the bad events, and as many others of the good ones. */
const KEYS = 500;
/** p99 of the good events that breaks the promise. */
const LATE_MS = 5_000;

export const poison = defineRun({
  about:
    'events that a function answers with 500: how late good ones are meanwhile, and when the bad ones are dead letters',
  options: {
    /** Bad events, all in one request. */
    poison: { type: 'string', default: '2500' },
    /** Good events a second. */
    rate: { type: 'string', default: '20' },
    /** Milliseconds that the function takes for an answer. */
    ms: { type: 'string', default: '0' },
    /** Of the subscription: `order`, `function.http.mode`, `retry.attempts`. */
    order: { type: 'string', default: 'none' },
    mode: { type: 'string', default: 'binary' },
    attempts: { type: 'string', default: '8' },
    partitions: { type: 'string', default: '4' },
  },
  async measure(options) {
    const run = { poison: Number(options.poison), rate: Number(options.rate) };
    const target = await Target.start(Number(options.ms));
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
    function: { http: { url: '${target.url}', mode: ${options.mode} } }
    retry: { attempts: ${options.attempts} }
`,
    );
    const client = new kafkajs.Kafka({ clientId: 'load', brokers: [kafka.brokers], logLevel: 0 });
    const admin = client.admin();
    const postern = await startNode(['src/main.ts', 'serve', '--config', config], /"msg":"ready"/);
    try {
      await admin.connect();
      // The dead-letter topic has no leader yet in its first moments.
      const deadLetters = () => storedIn(admin, 's.dead').catch(() => 0);
      const url = `http://127.0.0.1:${port}/events/s`;
      const { dead, last, late, isDone } = await measurePoison({ ...run, url, target, deadLetters });
      const at = (share: number) => quantile(late, share).toFixed(0);
      console.log(
        `${run.poison} bad events in one request, ${late.length} good ones at ${run.rate}/s, ${options.ms} ms a call`,
      );
      console.log(`good, request to call: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`);
      console.log(
        `dead letters: ${dead}, the last after ${last.toFixed(1)} s; ${target.refused} calls answered with 500`,
      );
      return isDone && quantile(late, 0.99) <= LATE_MS;
    } finally {
      await admin.disconnect();
      await stopNode(postern);
      await kafka.stop();
      target.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
});

interface PoisonRun {
  poison: number;
  rate: number;
  url: string;
  target: Target;
  deadLetters(): Promise<number>;
}

/** `last`: seconds from the bad request to its last dead letter. `late`: milliseconds of each good event. */
async function measurePoison({ poison, rate, url, target, deadLetters }: PoisonRun) {
  /** When each good event was sent, by its number. */
  const sent: number[] = [];
  let failed = 0;
  const posts: Promise<void>[] = [];
  /** Not awaited at once: all of it goes on side by side. */
  const send = (count: number, number: (i: number) => number): void => {
    const numbers = Array.from({ length: count }, (_, i) => number(i));
    posts.push(
      post(url, numbers).catch((error: unknown) => {
        failed++;
        console.error(error);
      }),
    );
  };
  // A topic that is new to Kafka is not read at once.
  await until('the first 50 events are delivered', async () => {
    await post(url, [sent.push(performance.now()) - 1]);
    return target.taken.filter(Boolean).length >= 50;
  });
  await sleep(WARM_MS);
  const first = sent.length;
  const begun = performance.now();
  let [poisoned, looked, dead] = [0, 0, 0];
  while (dead < poison && performance.now() < begun + LONGEST_MS) {
    const now = performance.now();
    if (poisoned === 0 && now > begun + WARM_MS) {
      poisoned = now;
      send(poison, (i) => -1 - i);
    }
    const from = sent.length;
    const due = first + Math.floor(((now - begun) / 1000) * rate);
    for (let n = from; n < due; n++) sent.push(now);
    if (due > from) send(due - from, (i) => from + i);
    if (now > looked + 500) {
      dead = await deadLetters();
      looked = now;
    }
    await sleep(10);
  }
  const last = (performance.now() - poisoned) / 1000;
  const isTaken = () => sent.every((_, n) => target.taken[n] !== undefined);
  const isDelivered = await until('the good events are delivered', isTaken, { ms: REST_MS }).then(
    () => true,
    () => false,
  );
  await Promise.all(posts);
  const late = sent.map((at, n) => (target.taken[n] ?? Number.POSITIVE_INFINITY) - at).slice(first);
  return { dead, last, late, isDone: dead === poison && isDelivered && failed === 0 };
}

/** Posts events; those with a negative number are bad. */
async function post(url: string, numbers: number[]): Promise<void> {
  const body = JSON.stringify(
    numbers.map((n) => ({ id: String(n), key: n < 0 ? `bad${-n % KEYS}` : `k${n % KEYS}`, n })),
  );
  const headers = { 'content-type': 'application/json' };
  const reply = await fetch(url, { method: 'POST', headers, body });
  if (reply.status !== 202) throw new Error(`${reply.status} ${await reply.text()}`);
}

/** A function that answers 500 to bad events, and keeps when it first got each good one. */
class Target {
  readonly taken: number[] = [];
  /** Calls answered with 500. */
  refused = 0;
  #server!: Server;

  static async start(ms: number): Promise<Target> {
    const target = new Target();
    target.#server = createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      if (ms > 0) await sleep(ms);
      response.writeHead(target.#take(text) ? 200 : 500).end();
    });
    target.#server.listen(0, '127.0.0.1');
    await once(target.#server, 'listening');
    return target;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #take(text: string): boolean {
    const body = JSON.parse(text) as { n: number } | { data: { n: number } }[];
    const numbers = Array.isArray(body) ? body.map(({ data }) => data.n) : [body.n];
    if (numbers.some((n) => n < 0)) {
      this.refused++;
      return false;
    }
    for (const n of numbers) this.taken[n] ??= performance.now();
    return true;
  }
}
