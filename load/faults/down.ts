import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type Producer } from 'kafkajs';
import { freePort } from '../../test/services/free-port.ts';
import { startKafka } from '../../test/services/kafka.ts';
import { until } from '../../test/services/until.ts';
import { storedIn } from '../client/topic.ts';
import { quantile } from '../report.ts';
import { startNode, stopNode } from '../rig/process.ts';
import { defineRun } from '../run.ts';

const TOPIC = 'down';
const KEYS = 50;
const WARM_MS = 20_000;
const TICK_MS = 100;
/** The backlog must be delivered by then. */
const DRAIN_MS = 600_000;

export const down = defineRun({
  about:
    'a function that is down for minutes: its backlog, its order, and the latency of another subscription',
  options: {
    minutes: { type: 'string', default: '5' },
    /** Events a second. */
    rate: { type: 'string', default: '100' },
  },
  async measure({ minutes, rate }) {
    const [up, failing] = [await Target.start(), await Target.start()];
    const kafka = await startKafka();
    const folder = await mkdtemp(join(tmpdir(), 'postern-down-'));
    const config = join(folder, 'postern.yaml');
    await writeFile(
      config,
      `admin: { listen: 127.0.0.1:${await freePort()} }
log: { kafka: { brokers: ['${kafka.brokers}'], create: { partitions: 4 } } }
dedupe: { embedded: {} }
subscriptions:
  up: { topics: [${TOPIC}], order: key, function: { http: { url: '${up.url}' } } }
  failing: { topics: [${TOPIC}], order: key, function: { http: { url: '${failing.url}' } } }
`,
    );
    const client = new kafkajs.Kafka({ clientId: 'load', brokers: [kafka.brokers], logLevel: 0 });
    const [admin, producer] = [client.admin(), client.producer()];
    const args = ['src/main.ts', 'serve', '--role', 'dispatcher', '--config', config];
    const dispatcher = await startNode(args, /"msg":"ready"/);
    try {
      await Promise.all([admin.connect(), producer.connect()]);
      const run = { up, failing, producer, rate: Number(rate) };
      const { sent, late, meanwhile, drain } = await measureDown(run, Number(minutes) * 60_000);
      const dead = await storedIn(admin, 'failing.dead');
      const wrong = failing.disordered();
      console.log(`${sent} events at ${rate}/s, ${minutes} minutes down`);
      console.log(`dead letters: ${dead}; keys out of order: ${wrong}`);
      console.log(`backlog delivered ${drain.toFixed(1)} s after the function was back`);
      console.log(`the other subscription, append to call: p99 ${late} ms before, ${meanwhile} ms meanwhile`);
      return dead === 0 && wrong === 0;
    } finally {
      await Promise.all([admin.disconnect(), producer.disconnect()]);
      await stopNode(dispatcher);
      await kafka.stop();
      for (const target of [up, failing]) target.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
});

interface DownRun {
  up: Target;
  failing: Target;
  producer: Producer;
  /** Events a second. */
  rate: number;
}

/** `late` and `meanwhile`: p99 in milliseconds before and while `failing` is down. `drain`: seconds until its backlog is delivered. */
async function measureDown({ up, failing, producer, rate }: DownRun, ms: number) {
  const started = performance.now();
  const ends = started + WARM_MS + ms;
  let sent = 0;
  while (performance.now() < ends) {
    failing.isDown = performance.now() > started + WARM_MS;
    const due = Math.floor(((performance.now() - started) / 1000) * rate);
    if (due > sent) await append(producer, sent, due);
    sent = due;
    await sleep(TICK_MS);
  }
  const back = performance.now();
  failing.isDown = false;
  await until(
    'both functions have every event',
    () => [up, failing].every((target) => target.count() >= sent),
    { ms: DRAIN_MS, every: TICK_MS },
  );
  const drain = (performance.now() - back) / 1000;
  return {
    sent,
    drain,
    late: up.p99(started + WARM_MS / 4, started + WARM_MS),
    meanwhile: up.p99(started + WARM_MS, back),
  };
}

async function append(producer: Producer, from: number, to: number): Promise<void> {
  const messages = Array.from({ length: to - from }, (_, i) => {
    const n = from + i;
    const key = `k${n % KEYS}`;
    const headers = { ce_specversion: '1.0', ce_id: String(n), ce_source: '/load', ce_type: 't' };
    return { key, value: JSON.stringify({ key, n, at: performance.now() }), headers };
  });
  await producer.send({ topic: TOPIC, messages });
}

/** A function that keeps the numbers it got, and how long each was on its way. Answers 503 while it is down. */
class Target {
  isDown = false;
  readonly #numbers = new Map<string, number[]>();
  /** `at`: when the event was appended. `ms`: from then to the call. */
  readonly #late: { at: number; ms: number }[] = [];
  #server!: Server;

  static async start(): Promise<Target> {
    const target = new Target();
    target.#server = createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      if (!target.isDown) target.#take(text);
      response.writeHead(target.isDown ? 503 : 200).end();
    });
    target.#server.listen(0, '127.0.0.1');
    await once(target.#server, 'listening');
    return target;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Different events. */
  count(): number {
    return [...this.#numbers.values()].reduce((sum, list) => sum + new Set(list).size, 0);
  }

  /** Keys of which an event came after a later one. */
  disordered(): number {
    const lists = [...this.#numbers.values()];
    return lists.filter((list) => list.some((n, i) => i > 0 && n < list[i - 1]!)).length;
  }

  /** Of the events appended between two times, in whole milliseconds. */
  p99(from: number, to: number): string {
    const some = this.#late.filter(({ at }) => at > from && at < to);
    return quantile(
      some.map(({ ms }) => ms),
      0.99,
    ).toFixed(0);
  }

  close(): void {
    this.#server.close();
  }

  #take(text: string): void {
    const { key, n, at } = JSON.parse(text) as { key: string; n: number; at: number };
    const list = this.#numbers.get(key) ?? [];
    this.#numbers.set(key, list);
    list.push(n);
    this.#late.push({ at, ms: performance.now() - at });
  }
}
