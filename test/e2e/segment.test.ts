import Rudder from '@rudderstack/rudder-sdk-node';
import { Analytics } from '@segment/analytics-node';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { type ReadRecord, readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';
import { runPython } from './python.ts';
import { startUnreliable, type Unreliable } from './unreliable.ts';

const brokers = inject('kafkaBrokers');
const prefix = `segment-${crypto.randomUUID().slice(0, 8)}`;
const KEY = 'write-key-of-web';
const SEGMENT_PYTHON = ['segment-analytics-python==2.4.0'];

const yamlOf = (redis: string) => `
log: { kafka: { brokers: ['${brokers}'], create: {} }, timeout: 2s }
dedupe: { redis: { url: '${redis}', prefix: '${prefix}:', timeout: 3s }, lease: 5s, outage: refuse }
sources:
  web: { protocol: segment, topic: ${prefix}, keys: [${KEY}] }
`;

function segmentNode(url: string, size: number): Analytics {
  return new Analytics({ writeKey: KEY, host: url, flushAt: size, flushInterval: 60_000, maxRetries: 100 });
}

function rudderNode(url: string, size: number): Rudder {
  const options = { dataPlaneUrl: url, flushAt: size, flushInterval: 100, logLevel: 'none' };
  // By itself it gives up after two seconds.
  return new Rudder(KEY, { ...options, retryCount: 100, axiosRetryConfig: { retryDelay: () => 200 } });
}

/** Sends `count` tracks called `{label}-{number}`; resolves when the SDK says that they are sent. */
type Send = (url: string, label: string, count: number) => Promise<void>;

const sdks: Record<string, Send> = {
  async 'segment-node'(url, label, count) {
    const analytics = segmentNode(url, count);
    const failures: unknown[] = [];
    for (let i = 0; i < count; i++) {
      analytics.track({ userId: label, event: `${label}-${i}` }, (error) => error && failures.push(error));
    }
    await analytics.closeAndFlush({ timeout: 50_000 });
    expect(failures).toEqual([]);
  },
  async 'rudder-node'(url, label, count) {
    const rudder = rudderNode(url, count);
    const sent = Array.from(
      { length: count },
      (_, i) =>
        new Promise<void>((resolve, reject) => {
          const done = (error?: Error) => (error ? reject(error) : resolve());
          rudder.track({ userId: label, event: `${label}-${i}` }, done);
        }),
    );
    await Promise.all(sent);
  },
  async 'segment-python'(url, label, count) {
    const output = await runPython(SEGMENT_PYTHON, 'segment-send.py', [url, KEY, label, `${count}`]);
    expect(output.trim()).toBe('sent');
  },
};

const eventOf = ({ value }: ReadRecord) => JSON.parse(value!.toString()) as Record<string, unknown>;
const namesOf = (label: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${label}-${i}`).sort();

/** Names of the tracks of a label that are in Kafka, each as often as it is there. */
async function stored(label: string): Promise<string[]> {
  const records = (await readTopic(brokers, prefix)).filter(({ headers }) => headers.ce_subject === label);
  expect(new Set(records.map(({ headers }) => headers.ce_id)).size).toBe(records.length);
  return records.map((record) => String(eventOf(record).event)).sort();
}

let redis: RedisServer;
let project: Project;
let postern: Postern;
beforeAll(async () => {
  redis = await startRedis();
  project = await makeProject({ yaml: yamlOf(redis.url) });
  postern = await startPostern(project, { command: ['serve', '--role', 'gateway'] });
});
afterAll(async () => {
  postern.kill('SIGTERM');
  expect(await postern.exited).toBe(0);
  await redis.stop();
  await project.remove();
});

async function duplicates(): Promise<number> {
  const text = await (await fetch(`${postern.admin}/metrics`)).text();
  return Number(/^postern_events_total\{source="web",verdict="duplicate"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

describe('SDKs deliver', () => {
  const KINDS = ['alias', 'group', 'identify', 'page', 'screen', 'track'].map((kind) => `segment.${kind}`);
  const recordsOf = async (user: string) =>
    (await readTopic(brokers, prefix)).filter(({ headers }) => headers.ce_subject === user);

  function check(records: ReadRecord[], user: string): void {
    expect(records.map(({ headers }) => headers.ce_type).sort()).toEqual(KINDS);
    for (const record of records) {
      const event = eventOf(record);
      const { headers, key } = record;
      expect(headers).toMatchObject({
        ce_specversion: '1.0',
        ce_source: '/segment/web',
        ce_id: event.messageId,
        ce_time: event.timestamp,
        'content-type': 'application/json',
      });
      expect([key!.toString(), event.userId]).toEqual([user, user]);
      const times = [event.originalTimestamp, event.timestamp, event.receivedAt].map((time) =>
        Date.parse(String(time)),
      );
      // The clocks are the same here, so the corrected time differs by what the way took.
      expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(-1);
      expect(times[2]!).toBeGreaterThanOrEqual(times[1]!);
    }
  }

  it('all calls of @segment/analytics-node', async () => {
    const analytics = segmentNode(postern.url, 6);
    const userId = 'node-user';
    analytics.identify({ userId, traits: { plan: 'é' } });
    analytics.track({ userId, event: 'Order Completed', properties: { total: 1 } });
    analytics.page({ userId, name: 'Home' });
    analytics.screen({ userId, name: 'Home' });
    analytics.group({ userId, groupId: 'g' });
    analytics.alias({ userId, previousId: 'before' });
    await analytics.closeAndFlush({ timeout: 50_000 });
    check(await recordsOf(userId), userId);
  });

  it('all calls of @rudderstack/rudder-sdk-node', async () => {
    const rudder = rudderNode(postern.url, 6);
    const userId = 'rudder-user';
    const call = (send: (done: () => void) => void) => new Promise<void>((resolve) => send(() => resolve()));
    await Promise.all([
      call((done) => rudder.identify({ userId, traits: { plan: 'é' } }, done)),
      call((done) => rudder.track({ userId, event: 'Order Completed' }, done)),
      call((done) => rudder.page({ userId, name: 'Home' }, done)),
      call((done) => rudder.screen({ userId, name: 'Home' }, done)),
      call((done) => rudder.group({ userId, groupId: 'g' }, done)),
      call((done) => rudder.alias({ userId, previousId: 'before' }, done)),
    ]);
    check(await recordsOf(userId), userId);
  });

  it('C12 all calls of segment-analytics-python, integers to the last digit', async () => {
    const user = 'python-user';
    const output = await runPython(SEGMENT_PYTHON, 'segment-send.py', [postern.url, KEY, user, 'kinds']);
    expect(output.trim()).toBe('sent');
    const records = await recordsOf(user);
    check(records, user);
    const track = records.find(({ headers }) => headers.ce_type === 'segment.track');
    expect(track!.value!.toString()).toContain('{"order": 9007199254740993, "total": 1.0}');
  });
});

describe.each(Object.entries(sdks))('%s', (name, send) => {
  let network: Unreliable;
  beforeAll(async () => {
    network = await startUnreliable(project.port);
  });
  afterAll(() => network.close());

  it('sends again what it got no reply to, and Kafka has it once', async () => {
    const label = `${name}-lost`;
    const before = await duplicates();
    network.loseReply();
    await send(network.url, label, 20);
    expect(network.lost()).toBe(1);
    expect(await stored(label)).toEqual(namesOf(label, 20));
    expect(await duplicates()).toBeGreaterThan(before);
  });
});

it('after a kill -9 in the middle of their batches the SDKs send again by themselves, and Kafka has each once', async () => {
  const networks = await Promise.all(Object.keys(sdks).map(() => startUnreliable(project.port)));
  const labels = Object.keys(sdks).map((name) => `${name}-killed`);
  // Requests stay where their ids have been claimed, or are about to be.
  redis.kill('SIGSTOP');
  const sending = Object.values(sdks).map((send, i) => send(networks[i]!.url, labels[i]!, 50));
  await Promise.all(networks.map((network) => expect.poll(network.used).toBeGreaterThan(0)));
  await expect
    .poll(async () =>
      /^postern_buffered_bytes [1-9]/m.test(await (await fetch(`${postern.admin}/metrics`)).text()),
    )
    .toBe(true);
  postern.kill('SIGKILL');
  expect(await postern.exited).toBe('SIGKILL');
  redis.kill('SIGCONT');
  postern = await startPostern(project, { command: ['serve', '--role', 'gateway'] });
  await Promise.all(sending);
  for (const label of labels) expect([label, await stored(label)]).toEqual([label, namesOf(label, 50)]);
  await Promise.all(networks.map((network) => network.close()));
});
