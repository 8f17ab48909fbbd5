import { randomUUID } from 'node:crypto';
import { Connection, joinGroupV3, parseBroker } from '@platformatic/kafka';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { Consumption, EventLog } from '../../../../src/ports/event-log.ts';
import { Collector, collect, record, text } from '../../../contracts/collector.ts';
import { type Kafka, startKafka } from '../../../services/kafka.ts';
import { type Line, makeTopic, makeTopics, openLog, withPlainAdmin } from '../setting.ts';

const SESSION_MS = 2_000;
let kafka: Kafka;
let topic: string;
let group: string;
let log: EventLog;
let lines: Line[];

beforeAll(async () => {
  kafka = await startKafka({ config: { 'group.min.session.timeout.ms': '1000' } });
});

beforeEach(async () => {
  topic = await makeTopic(kafka.brokers, 4);
  group = `g-${randomUUID()}`;
  ({ log, lines } = openLog(kafka.brokers, [topic], {}, { session: SESSION_MS }));
});

afterEach(() => log.close());

afterAll(() => kafka.stop());

async function store(from: number, to: number): Promise<void> {
  const records = Array.from({ length: to - from }, (_, i) => record(topic, `${from + i}`, `${from + i}`));
  expect(await log.append(records)).toEqual(records.map(() => 'stored'));
}

/** Resolves when a session has passed: the broker has expelled a member of another group that sends no heartbeats. */
async function sessionPassed(): Promise<void> {
  const silent = `silent-${randomUUID()}`;
  const { host, port } = parseBroker(kafka.brokers);
  const connection = new Connection('test');
  await connection.connect(host, port);
  const protocols = [{ name: 'none', metadata: Buffer.alloc(0) }];
  await joinGroupV3.api.async(connection, silent, SESSION_MS, SESSION_MS, '', null, 'consumer', protocols);
  const members = async () =>
    (await withPlainAdmin(kafka.brokers, (admin) => admin.describeGroups([silent]))).groups[0]!.members;
  await vi.waitFor(async () => expect(await members()).toEqual([]), 30_000);
  await connection.close();
}

async function committed(): Promise<Map<number, number>> {
  const [found] = await withPlainAdmin(kafka.brokers, (admin) =>
    admin.fetchOffsets({ groupId: group, topics: [topic] }),
  );
  return new Map(found!.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
}

test('C46 a second member gets its share only after the first has finished, and nothing is lost or read twice', async () => {
  const events: string[] = [];
  const first = await collect(log, group, [topic]);
  await store(0, 200);
  await first.collector.values(200);
  first.collector.onRevoked = async () => {
    events.push('first is asked');
    // Some answers of the broker, while the second member waits.
    for (let i = 0; i < 20; i++) await committed();
    await first.consumption.commit(first.collector.positions());
    events.push('first has finished');
  };
  const second = new Collector();
  const assigned = second.assigned.bind(second);
  second.assigned = (partitions) => {
    events.push('second is assigned');
    assigned(partitions);
  };
  const consumption = await log.consume({ group, topics: [topic], from: 'earliest' }, second);
  await second.ready([topic]);
  await first.collector.ready([topic]);
  expect(events).toEqual(['first is asked', 'first has finished', 'second is assigned']);
  expect(first.collector.partitions.size).toBe(2);
  expect(second.partitions.size).toBe(2);

  await store(200, 400);
  const all = () => [...first.collector.seen, ...second.seen].map(({ value }) => String(value));
  await Promise.race([
    first.collector.until(() => all().length >= 400),
    second.until(() => all().length >= 400),
  ]);
  expect(all().sort()).toEqual(Array.from({ length: 400 }, (_, i) => `${i}`).sort());

  // The one that stays takes over where the other stopped.
  second.onRevoked = () => consumption.commit(second.positions());
  await consumption.stop();
  await first.collector.until(() => first.collector.partitions.size === 4);
  await store(400, 500);
  await first.collector.until(() => all().length >= 500);
  expect(all().sort()).toEqual(Array.from({ length: 500 }, (_, i) => `${i}`).sort());
});

test('C46 stays a member while `revoked` takes longer than the session, and may commit at its end', async () => {
  const first = await collect(log, group, [topic]);
  await store(0, 40);
  await first.collector.values(40);
  let done = false;
  first.collector.onRevoked = async () => {
    await sessionPassed();
    await first.consumption.commit(first.collector.positions());
    done = true;
  };
  const second = await collect(log, group, [topic]);
  expect(done).toBe(true);
  await first.collector.ready([topic]);
  expect([...(await committed()).values()].reduce((sum, one) => sum + one)).toBe(40);
  await store(40, 80);
  const seen = () => first.collector.seen.length + second.collector.seen.length;
  await Promise.race([first.collector.until(() => seen() >= 80), second.collector.until(() => seen() >= 80)]);
  expect(seen()).toBe(80);
  first.collector.onRevoked = async () => {};
});

test('C46 stays a member while functions are slow and every partition is held', async () => {
  const { collector, consumption } = await collect(log, group, [topic]);
  await store(0, 40);
  await collector.values(40);
  consumption.pause([...collector.partitions.values()]);
  await sessionPassed();
  await consumption.commit(collector.positions());
  expect(collector.revocations).toBe(0);
  consumption.resume([...collector.partitions.values()]);
  await store(40, 80);
  await collector.values(80);
  expect(collector.seen.length).toBe(80);
});

test('commits nothing of partitions that belong to somebody else now', async () => {
  const first = await collect(log, group, [topic]);
  await store(0, 100);
  await first.collector.values(100);
  const old = first.collector.positions();
  first.collector.onRevoked = () => first.consumption.commit(old);
  const second = await collect(log, group, [topic]);
  await first.collector.ready([topic]);
  await first.consumption.commit(old.map((one) => ({ ...one, offset: 0 })));
  const offsets = await committed();
  for (const { partition } of second.collector.partitions.values()) {
    expect(offsets.get(partition)).toBe(old.find((one) => one.partition === partition)!.offset);
  }
  for (const { partition } of first.collector.partitions.values()) expect(offsets.get(partition)).toBe(0);
  await second.consumption.stop();
  await expect(second.consumption.commit(old)).rejects.toThrow('not a member');
});

test('C50 members that start a new group together at `latest` read nothing old, and commit their start at once', async () => {
  await store(0, 100);
  const collectors = [new Collector(), new Collector(), new Collector()];
  await Promise.all(collectors.map((sink) => log.consume({ group, topics: [topic], from: 'latest' }, sink)));
  const offsets = await committed();
  expect([...offsets.values()].reduce((sum, one) => sum + one)).toBe(100);
  await vi.waitFor(() => {
    const held = collectors.flatMap((sink) => [...sink.partitions.keys()]);
    expect(held.sort()).toEqual([0, 1, 2, 3].map((partition) => `${topic}/${partition}`));
  }, 20_000);
  await store(100, 200);
  const values = () => collectors.flatMap((sink) => sink.seen.map(({ value }) => Number(String(value))));
  await vi.waitFor(() => expect(new Set(values()).size).toBe(100), 20_000);
  expect(Math.min(...values())).toBe(100);
});

test('C50 goes on at the earliest record kept when the position is gone, and says so', async () => {
  await store(0, 100);
  const first = await collect(log, group, [topic]);
  await first.collector.values(100);
  await first.consumption.stop();
  const partitions = [0, 1, 2, 3].map((partition) => ({ partition, offset: '5' }));
  await withPlainAdmin(kafka.brokers, async (admin) => {
    // kafkajs wants the topic's metadata loaded before.
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions });
  });
  const second = await collect(log, group, [topic]);
  await second.collector.values(80);
  expect(second.collector.seen.length).toBe(80);
  expect(Math.min(...second.collector.seen.map(({ offset }) => offset))).toBe(5);
  const told = lines.filter(({ level, message }) => level === 'error' && message.includes('out of range'));
  expect(told.map(({ extra }) => extra.partition).sort()).toEqual([0, 1, 2, 3]);
});

test('C50 reads partitions that are added later from their beginning', async () => {
  const { collector } = await collect(log, group, [topic], 'latest');
  await withPlainAdmin(kafka.brokers, (admin) =>
    admin.createPartitions({ topicPartitions: [{ topic, count: 8 }] }),
  );
  // Another client, as ours learns of the new partitions a little later.
  const other = openLog(kafka.brokers, [topic]).log;
  const records = Array.from({ length: 200 }, (_, i) => record(topic, `${i}`, `${i}`));
  expect(await other.append(records)).toEqual(records.map(() => 'stored'));
  await other.close();
  const values = () => new Set(collector.seen.map(text));
  await collector.until(() => values().size === 200);
  expect(new Set(collector.seen.map(({ partition }) => partition)).size).toBe(8);
  expect((await committed()).size).toBe(8);
});

test.each(['SIGTERM', 'SIGKILL'] as const)('C47 reads on after the broker was gone (%s)', async (signal) => {
  await store(0, 100);
  const { collector, consumption } = await collect(log, group, [topic]);
  await collector.values(100);
  await consumption.commit(collector.positions());
  kafka.kill(signal);
  await kafka.restart();
  await vi.waitFor(() => store(100, 200), { timeout: 30_000 });
  const values = () => new Set(collector.seen.map(({ value }) => String(value)));
  await collector.until(() => values().size === 200);
  // Committed before: not read again.
  expect(collector.seen.filter(({ value }) => Number(String(value)) < 100).length).toBe(100);
});

test('C47 tells of an error that does not pass by itself, and still stops', async () => {
  const sink = new Collector();
  const consumption: Consumption = await log.consume({ group, topics: ['..'], from: 'earliest' }, sink);
  await vi.waitFor(() => expect(sink.error).not.toBeNull(), { timeout: 30_000 });
  await consumption.stop();
});

test('C47 waits for a topic that is made later', async () => {
  const late = `late-${randomUUID()}`;
  const sink = new Collector();
  await log.consume({ group, topics: [late], from: 'latest' }, sink);
  await makeTopics(kafka.brokers, [late], 4);
  await sink.ready([late]);
  expect(await log.append([record(late, 'a')])).toEqual(['stored']);
  expect(await sink.values(1)).toEqual(['a']);
});

test.each(['earliest', 'latest'] as const)(
  'C50 reads a topic from its beginning that was deleted and made again (from: %s)',
  async (from) => {
    const { collector, consumption } = await collect(log, group, [topic], from);
    await store(0, 100);
    await collector.values(100);
    await consumption.commit(collector.positions());
    const old = collector.positions();
    await store(100, 110);
    await collector.values(110);
    await withPlainAdmin(kafka.brokers, (admin) => admin.deleteTopics({ topics: [topic] }));
    // Work that was begun before goes on, and is over only when there is another topic of that name.
    const late = consumption.commit(old).catch((error: Error) => error.message);
    await makeTopics(kafka.brokers, [topic], 4);
    const { log: other } = openLog(kafka.brokers, [topic]);
    const records = Array.from({ length: 400 }, (_, i) => record(topic, `new ${i}`, `${i}`));
    expect(await other.append(records)).toEqual(records.map(() => 'stored'));
    await other.close();
    expect(await late).toMatch(/unknown/);
    const found = () => new Set(collector.seen.map(text).filter((value) => value.startsWith('new')));
    await collector.until(() => found().size === 400);
    expect([...found()].sort()).toEqual(records.map(text).sort());
  },
);
