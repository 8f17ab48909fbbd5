import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, inject, it } from 'vitest';
import { kafkaClient, readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, startPostern } from './postern.ts';

const brokers = inject('kafkaBrokers');
const prefix = `order-${crypto.randomUUID().slice(0, 8)}`;
const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

const KEYS = 1_000;
const EVENTS = 10_000;

/** Successes of each key in the order in which the function had them, and how often two calls of a key met. */
class OrderedFunction {
  readonly successes = new Map<string, number[]>();
  delivered = 0;
  failed = 0;
  met = 0;
  readonly #open = new Set<string>();
  readonly #seen = new Set<string>();
  readonly server: Server = createServer((request, response) => {
    request.resume();
    void this.#answer(String(request.headers['ce-id'])).then((status) => response.writeHead(status).end());
  });

  /** Different events that were delivered. */
  get different(): number {
    return this.#seen.size;
  }

  async #answer(id: string): Promise<number> {
    const [key, number] = id.split('/') as [string, string];
    if (this.#open.has(key)) this.met++;
    this.#open.add(key);
    await sleep(5);
    this.#open.delete(key);
    if (Math.random() < 0.05) {
      this.failed++;
      return 500;
    }
    this.delivered++;
    this.#seen.add(id);
    const before = this.successes.get(key);
    if (before === undefined) this.successes.set(key, [Number(number)]);
    else before.push(Number(number));
    return 204;
  }
}

async function lag(group: string, topic: string): Promise<number> {
  const admin = kafkaClient(brokers).admin();
  await admin.connect();
  try {
    const [offsets, ends] = [
      await admin.fetchOffsets({ groupId: group, topics: [topic] }),
      await admin.fetchTopicOffsets(topic),
    ];
    return ends.reduce((sum, { partition, high }) => {
      const committed = offsets[0]!.partitions.find((one) => one.partition === partition)?.offset ?? '0';
      return sum + Number(high) - Math.max(0, Number(committed));
    }, 0);
  } finally {
    await admin.disconnect();
  }
}

it('the successes of no key go backwards, over failures, a kill -9 and two rebalances', async () => {
  const target = new OrderedFunction();
  target.server.listen(0, '127.0.0.1');
  await once(target.server, 'listening');
  ends.push(
    () => target.server.closeAllConnections(),
    () => target.server.close(),
  );
  const yaml = `
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' } }
sources:
  s: { protocol: events, topic: ${prefix}, id: [/id], key: /key }
subscriptions:
  s:
    group: ${prefix}
    topics: [${prefix}]
    function: { http: { url: 'http://127.0.0.1:${(target.server.address() as AddressInfo).port}/' } }
    deadLetter: ${prefix}.dead
    order: key
    concurrency: 64
    retry: { attempts: 20, min: 10ms, max: 200ms }
`;
  const start = async (role: string): Promise<Postern> => {
    const project = await makeProject({ yaml });
    ends.push(() => project.remove());
    const postern = await startPostern(project, { command: ['serve', '--role', role] });
    ends.push(() => postern.kill('SIGKILL'));
    return postern;
  };
  const reached = (share: number) =>
    expect.poll(() => target.different, { timeout: 60_000 }).toBeGreaterThanOrEqual(EVENTS * share);

  const gateway = await start('gateway');
  for (let from = 0; from < EVENTS; from += KEYS) {
    const events = Array.from({ length: KEYS }, (_, i) => ({ id: `k${i}/${from / KEYS}`, key: `k${i}` }));
    const reply = await fetch(`${gateway.url}/events/s`, {
      method: 'POST',
      body: JSON.stringify(events),
      headers: { 'content-type': 'application/json' },
    });
    expect(reply.status).toBe(202);
  }
  gateway.kill('SIGTERM');
  await gateway.exited;

  const killed = await start('dispatcher');
  await reached(0.1);
  // The first rebalance: it takes half of the partitions.
  const second = await start('dispatcher');
  await reached(0.3);
  killed.kill('SIGKILL');
  await killed.exited;
  // The second rebalance, once the group has noticed; and a third when this one leaves cleanly.
  const third = await start('dispatcher');
  await reached(0.8);
  second.kill('SIGTERM');
  expect(await second.exited).toBe(0);
  await reached(1);
  await expect.poll(() => lag(prefix, prefix), { timeout: 60_000, interval: 500 }).toBe(0);
  third.kill('SIGTERM');
  expect(await third.exited).toBe(0);

  expect(await readTopic(brokers, `${prefix}.dead`)).toEqual([]);
  expect(target.met).toBe(0);
  expect(target.failed).toBeGreaterThan(EVENTS * 0.02);
  // Per key: the first success of each event comes after that of the one before. Whoever takes a partition over
  // begins at the committed offset, so that a run of them may come again: only then, and in order as well.
  const TAKEOVERS = 4;
  for (const [key, numbers] of target.successes) {
    const firsts = numbers.filter((number, i) => !numbers.slice(0, i).includes(number));
    expect([key, firsts]).toEqual([key, Array.from({ length: EVENTS / KEYS }, (_, i) => i)]);
    const steps = numbers.slice(1).map((number, i) => number - numbers[i]!);
    expect(steps.filter((step) => step > 1)).toEqual([]);
    expect(steps.filter((step) => step <= 0).length).toBeLessThanOrEqual(TAKEOVERS);
  }
  expect(target.successes.size).toBe(KEYS);
  expect(target.delivered - EVENTS).toBeLessThan(EVENTS / 2);
}, 300_000);
