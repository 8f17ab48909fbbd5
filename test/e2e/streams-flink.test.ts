import { expect, inject, test } from 'vitest';
import { startFlink } from '../services/flink.ts';
import { counterOf } from './counters.ts';
import { kafkaClient, readTopic } from './kafka-reader.ts';
import { makeProject, runPostern, startPostern } from './postern.ts';
import {
  awaitEmitted,
  emittedLines,
  expectedLines,
  type Kind,
  makeEvents,
  produce,
  produceEnd,
  seenOf,
} from './stream-events.ts';

const brokers = inject('kafkaBrokers');
const PARTITIONS = 3;
const EVENTS = 3_000;

/** In Flink an event that comes just when a session ends still belongs to it: no two are so far apart here. */
const kinds: Record<string, { window: string; kind: Kind; more?: string; by: 'key' | 'user' }> = {
  tumbling: { window: '{ tumbling: 5m }', kind: { tumbling: 300_000 }, by: 'key' },
  sliding: {
    window: '{ sliding: 10m, every: 5m }',
    kind: { sliding: 600_000, every: 300_000 },
    by: 'user',
    more: 'key: /user',
  },
  session: { window: '{ session: 60001ms }', kind: { session: 60_001 }, by: 'key' },
};

test('Flink makes the same windows of what is exported to it', { timeout: 300_000 }, async () => {
  const prefix = `flink-${crypto.randomUUID().slice(0, 8)}`;
  const yaml = (out: string) => `
log: { kafka: { brokers: ['${brokers}'], create: { partitions: ${PARTITIONS} } } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' } }
streams:${Object.entries(kinds)
    .map(
      ([name, { window, more = '' }]) => `
  ${prefix}.${name}:
    topics: [${prefix}.orders]
    filter: event.type == "shop.order" && event.data.total >= 0.0
    window: ${window}
    lateness: 30s
    aggregate: { n: count(), spent: sum(event.data.total) }
    having: n >= 1
    emit: { topic: ${prefix}.${name}.${out}, type: spend }
    ${more}`,
    )
    .join('')}
`;
  const [ours, exported] = await Promise.all([
    makeProject({ yaml: yaml('ours') }),
    makeProject({ yaml: yaml('flink') }),
  ]);
  const postern = await startPostern(ours, { command: ['serve', '--role', 'dispatcher'] });
  const events = makeEvents(EVENTS, 60, Date.now() - 600_000).map((event) => ({
    ...event,
    time: event.time - (event.time % 2),
  }));
  await produce(brokers, `${prefix}.orders`, events);
  await produceEnd(brokers, `${prefix}.orders`, PARTITIONS);

  let sql = '';
  for (const name of Object.keys(kinds)) {
    const args = ['streams', 'export', `${prefix}.${name}`, '--to', 'flink-sql', '--config', exported.config];
    const { code, output } = await runPostern(args);
    expect(code, output).toBe(0);
    sql += `${output}\n`;
  }
  const admin = kafkaClient(brokers).admin();
  await admin.connect();
  const topics = Object.keys(kinds).map((name) => ({ topic: `${prefix}.${name}.flink` }));
  await admin.createTopics({ topics, waitForLeaders: false });
  await admin.disconnect();
  const flink = await startFlink(sql);
  const records = await readTopic(brokers, `${prefix}.orders`);
  for (const [name, { kind, by }] of Object.entries(kinds)) {
    const expected = expectedLines(seenOf(records, by), kind);
    expect(
      await awaitEmitted(brokers, `${prefix}.${name}.flink`, expected.length, 60_000),
      `${name}: ${flink.output()}`,
    ).toEqual(expected);
    await awaitEmitted(brokers, `${prefix}.${name}.ours`, expected.length, 60_000);
    const [theirs, own] = await Promise.all([
      readTopic(brokers, `${prefix}.${name}.flink`),
      readTopic(brokers, `${prefix}.${name}.ours`),
    ]);
    expect(emittedLines(own)).toEqual(expected);
    const ids = (all: typeof own) =>
      new Set(all.map(({ headers }) => headers.ce_id).filter((id) => !id?.includes('/end/')));
    expect(ids(theirs)).toEqual(ids(own));
  }
  expect(await counterOf(postern.admin, 'stream_late_total', `stream="${prefix}.tumbling"`)).toBe(0);
  await flink.stop();
  postern.kill('SIGTERM');
  await postern.exited;
  await Promise.all([ours.remove(), exported.remove()]);
});
