import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it, vi } from 'vitest';
import { type Kafka, startKafka } from '../services/kafka.ts';
import { readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';

let kafka: Kafka;
let project: Project;
let postern: Postern;
let topic: string;

beforeAll(async () => {
  kafka = await startKafka();
}, 120_000);
afterAll(() => kafka.stop());

beforeEach(async () => {
  topic = `spool-${crypto.randomUUID().slice(0, 8)}`;
  project = await makeProject({
    yaml: `
log: { kafka: { brokers: ['${kafka.brokers}'], create: {} }, spool: { path: '{folder}/spool', after: 500ms } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${topic}:' } }
grace: 10s
sources:
  s: { topic: ${topic}, id: [/id], key: /device }
`,
  });
  postern = await startPostern(project, { command: ['serve', '--role', 'gateway'] });
}, 60_000);
afterEach(async () => {
  postern.kill('SIGKILL');
  await postern.exited;
  await kafka.restart();
  await project.remove();
}, 60_000);

async function send(ids: number[]): Promise<{ status: number; accepted: number; duplicates: number }> {
  const response = await fetch(`${postern.url}/events/s`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(ids.map((id) => ({ id, device: `d${id % 5}` }))),
  });
  return {
    ...((await response.json()) as { accepted: number; duplicates: number }),
    status: response.status,
  };
}

async function spooled(): Promise<number> {
  const text = await (await fetch(`${postern.admin}/metrics`)).text();
  return Number(/^postern_spool_events (\d+)$/m.exec(text)?.[1]);
}

/** The ids that Kafka holds, in order and by device, each once; `copies` counts the others. */
async function stored(): Promise<{ ids: number[]; copies: number; byDevice: Map<string, number[]> }> {
  const records = await readTopic(kafka.brokers, topic);
  const byDevice = new Map<string, number[]>();
  const seen = new Set<number>();
  for (const { value } of records) {
    const { id, device } = JSON.parse(String(value)) as { id: number; device: string };
    if (seen.has(id)) continue;
    seen.add(id);
    byDevice.set(device, [...(byDevice.get(device) ?? []), id]);
  }
  return { ids: [...seen].sort((a, b) => a - b), copies: records.length - seen.size, byDevice };
}

/** Sends events that are in Kafka when it resolves. A busy machine may put them in the spool first. */
async function sendToKafka(ids: number[]): Promise<void> {
  expect(await send(ids)).toMatchObject({ status: 202, accepted: ids.length });
  await emptied();
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
const emptied = () =>
  vi.waitFor(async () => expect(await spooled()).toBe(0), { timeout: 60_000, interval: 100 });

it('takes events while Kafka is down, tells duplicates, and brings all to Kafka in the order of each key', async () => {
  await sendToKafka([0, 1, 2, 3, 4]);
  kafka.kill('SIGKILL');
  for (let n = 5; n < 50; n += 5) {
    expect(await send([n, n + 1, n + 2, n + 3, n + 4])).toMatchObject({ status: 202, accepted: 5 });
  }
  expect(await send([7, 8])).toMatchObject({ status: 202, duplicates: 2 });
  expect(await spooled()).toBe(45);
  const ready = await fetch(`${postern.admin}/readyz`);
  expect(ready.status).toBe(200);
  expect(JSON.stringify(await ready.json())).toMatch(/45 events \(\d+ bytes\) wait in the spool/);
  await kafka.restart();
  // Comes while the spool is being emptied, and must not overtake.
  expect(await send([50, 51, 52, 53, 54])).toMatchObject({ status: 202, accepted: 5 });
  await emptied();
  const { ids, copies, byDevice } = await stored();
  expect(ids).toEqual(upTo(55));
  // Only what was in flight when Kafka died may be there twice.
  expect(copies).toBeLessThanOrEqual(5);
  for (const list of byDevice.values()) expect(list).toEqual([...list].sort((a, b) => a - b));
}, 120_000);

it('survives kill -9 with events in the spool', async () => {
  await sendToKafka([0]);
  kafka.kill('SIGKILL');
  expect(await send([1, 2, 3])).toMatchObject({ status: 202, accepted: 3 });
  postern.kill('SIGKILL');
  await postern.exited;
  // It listens with no Kafka there, and takes on.
  postern = await startPostern(project, { command: ['serve', '--role', 'gateway'], early: true });
  expect(await spooled()).toBe(3);
  expect(await send([4])).toMatchObject({ status: 202, accepted: 1 });
  await kafka.restart();
  await emptied();
  expect((await stored()).ids).toEqual(upTo(5));
}, 120_000);

it('keeps the spool on SIGTERM while Kafka is away, and says how much is left', async () => {
  await sendToKafka([0]);
  kafka.kill('SIGKILL');
  expect(await send([1, 2])).toMatchObject({ status: 202, accepted: 2 });
  postern.kill('SIGTERM');
  expect(await postern.exited).toBe(0);
  expect(postern.output()).toMatch(/"events":2,"msg":"events are left in the spool for the next start"/);
  await kafka.restart();
  postern = await startPostern(project, { command: ['serve', '--role', 'gateway'] });
  await emptied();
  expect((await stored()).ids).toEqual(upTo(3));
}, 120_000);

it('answers in time while the broker hangs, and stores once what the broker took in the end', async () => {
  await sendToKafka([0]);
  kafka.kill('SIGSTOP');
  expect(await send([1])).toMatchObject({ status: 202, accepted: 1 });
  expect(await send([2])).toMatchObject({ status: 202, accepted: 1 });
  kafka.kill('SIGCONT');
  await emptied();
  expect(await stored()).toMatchObject({ ids: [0, 1, 2], copies: 0 });
}, 120_000);
