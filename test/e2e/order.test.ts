import { afterAll, expect, inject, it } from 'vitest';
import { kafkaClient, readTopic } from './kafka-reader.ts';
import { disorder, OrderedFunction } from './ordered-function.ts';
import { makeProject, type Postern, startPostern } from './postern.ts';

const brokers = inject('kafkaBrokers');
const prefix = `order-${crypto.randomUUID().slice(0, 8)}`;
const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

const KEYS = 1_000;
const EVENTS = 10_000;

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
  const target = new OrderedFunction({ ms: 5, failing: 0.05 });
  const url = await target.listen();
  ends.push(() => target.close());
  const yaml = `
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' } }
sources:
  s: { protocol: events, topic: ${prefix}, id: [/id], key: /key }
subscriptions:
  s:
    group: ${prefix}
    topics: [${prefix}]
    function: { http: { url: '${url}' } }
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
  // Three processes came and two went.
  for (const [key, numbers] of target.successes) {
    expect([key, disorder(numbers, 5)]).toEqual([key, null]);
    expect(new Set(numbers).size).toBe(EVENTS / KEYS);
  }
  expect(target.successes.size).toBe(KEYS);
  expect(target.delivered - EVENTS).toBeLessThan(EVENTS / 2);
}, 300_000);
