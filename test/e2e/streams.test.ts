import { afterAll, expect, inject, test } from 'vitest';
import { kafkaClient, readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';
import {
  awaitEmitted,
  expectedLines,
  type Kind,
  makeEvents,
  produce,
  produceEnd,
  seenOf,
} from './stream-events.ts';

const brokers = inject('kafkaBrokers');
const prefix = `streams-${crypto.randomUUID().slice(0, 8)}`;
const PARTITIONS = 4;
const EVENTS = 20_000;

const kinds: Record<string, { window: string; kind: Kind; by: 'key' | 'user'; more?: string }> = {
  tumbling: { window: '{ tumbling: 1m }', kind: { tumbling: 60_000 }, by: 'key' },
  sliding: { window: '{ sliding: 3m, every: 1m }', kind: { sliding: 180_000, every: 60_000 }, by: 'key' },
  session: { window: '{ session: 40s }', kind: { session: 40_000 }, by: 'key' },
  keyed: { window: '{ tumbling: 5m }', kind: { tumbling: 300_000 }, by: 'user', more: 'key: /user' },
};

const stream = (name: string) => {
  const { window, more = '' } = kinds[name]!;
  return `
  ${prefix}.${name}:
    topics: [${prefix}.orders]
    window: ${window}
    lateness: 30s
    aggregate: { n: count(), spent: sum(event.data.total) }
    emit: { topic: ${prefix}.${name}.windows, type: spend }
    ${more}`;
};

const projects: Project[] = [];
const running = new Set<Postern>();
async function start(): Promise<Postern> {
  const project = await makeProject({
    yaml: `
log: { kafka: { brokers: ['${brokers}'], create: { partitions: ${PARTITIONS} } } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' } }
streams:${Object.keys(kinds).map(stream).join('')}
`,
  });
  projects.push(project);
  const postern = await startPostern(project, { command: ['serve', '--role', 'dispatcher'] });
  running.add(postern);
  void postern.exited.then(() => running.delete(postern));
  return postern;
}
afterAll(async () => {
  for (const postern of running) postern.kill('SIGKILL');
  for (const project of projects) await project.remove();
});

/** Sum of what dispatchers have counted in windows so far. */
async function counted(postern: Postern): Promise<number> {
  const text = await (await fetch(`${postern.admin}/metrics`)).text();
  return [...text.matchAll(/^postern_stream_events_total\{.*\} (\d+)$/gm)].reduce(
    (sum, [, n]) => sum + Number(n),
    0,
  );
}

/** How many read each stream, once the partitions are shared among them; before that 0. */
async function membersOfGroups(): Promise<number[]> {
  const admin = kafkaClient(brokers).admin();
  await admin.connect();
  try {
    const { groups } = await admin.describeGroups(
      Object.keys(kinds).map((name) => `postern.stream.${prefix}.${name}`),
    );
    return groups.map(({ state, members }) => (state === 'Stable' ? members.length : 0));
  } finally {
    await admin.disconnect();
  }
}

test('each window is emitted exactly, while dispatchers are killed and others join', {
  timeout: 300_000,
}, async () => {
  const [first, second] = await Promise.all([start(), start()]);
  const events = makeEvents(EVENTS, 500);
  // Both must be members before events come, else the first one would count them all.
  await expect.poll(membersOfGroups).toEqual(Object.keys(kinds).map(() => 2));
  await produce(brokers, `${prefix}.orders`, events.slice(0, EVENTS / 2));
  await expect.poll(() => counted(first)).toBeGreaterThan(0);
  first.kill('SIGKILL');
  const third = await start();
  await produce(brokers, `${prefix}.orders`, events.slice(EVENTS / 2), EVENTS / 2);
  await expect.poll(() => counted(third), { timeout: 60_000 }).toBeGreaterThan(0);
  second.kill('SIGTERM');
  expect(await second.exited).toBe(0);
  await start();
  await produceEnd(brokers, `${prefix}.orders`, PARTITIONS);

  const records = await readTopic(brokers, `${prefix}.orders`);
  expect(records.length).toBe(EVENTS + PARTITIONS);
  for (const [name, { kind, by }] of Object.entries(kinds)) {
    const expected = expectedLines(seenOf(records, by), kind);
    expect(expected.length).toBeGreaterThan(1_000);
    expect(await awaitEmitted(brokers, `${prefix}.${name}.windows`, expected.length, 90_000), name).toEqual(
      expected,
    );
    expect(await readTopic(brokers, `${prefix}.${name}.late`), name).toEqual([]);
  }
  const admin = kafkaClient(brokers).admin();
  await admin.connect();
  const { topics } = await admin.fetchTopicMetadata({ topics: [`${prefix}.keyed.by-key`] });
  await admin.disconnect();
  expect(topics[0]!.partitions.length).toBe(PARTITIONS);
});
