import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { counterOf } from './counters.ts';
import { kafkaClient } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';

const brokers = inject('kafkaBrokers');
const topic = `lag-${crypto.randomUUID().slice(0, 8)}`;
const admin = kafkaClient(brokers).admin();

let isUp = false;
const held: ServerResponse[] = [];
const functions = createServer((request, response) => {
  request.resume();
  if (isUp) response.writeHead(204).end();
  else held.push(response);
});
let project: Project;
let dispatcher: Postern;

beforeAll(async () => {
  await admin.connect();
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1 }] });
  const producer = kafkaClient(brokers).producer();
  await producer.connect();
  await producer.send({ topic, messages: Array.from({ length: 100 }, (_, n) => ({ value: `${n}` })) });
  await producer.disconnect();
  // As when their retention is over.
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '40' }] });
  functions.listen(0, '127.0.0.1');
  await once(functions, 'listening');
  const url = `http://127.0.0.1:${(functions.address() as AddressInfo).port}/`;
  project = await makeProject({
    yaml: `
log: { kafka: { brokers: ['${brokers}'], create: { partitions: 1, replication: 1 } } }
dedupe: { embedded: {} }
subscriptions: { ${topic}: { topics: [${topic}], concurrency: 1, function: { http: { url: '${url}' } } } }
`,
  });
  dispatcher = await startPostern(project, { command: ['serve', '--role', 'dispatcher'] });
}, 120_000);
afterAll(async () => {
  functions.close();
  functions.closeAllConnections();
  dispatcher?.kill('SIGKILL');
  await dispatcher?.exited;
  await project?.remove();
  await admin.disconnect();
});

/** The lag by our metric, and by the group's committed offset, as an autoscaler counts it. */
async function lags(): Promise<{ ours: number; theirs: number }> {
  const labels = `subscription="${topic}",topic="${topic}",partition="0"`;
  const [group] = await admin.fetchOffsets({ groupId: `postern.${topic}`, topics: [topic] });
  const [end] = await admin.fetchTopicOffsets(topic);
  const ours = await counterOf(dispatcher.admin, 'lag_events', labels);
  return { ours, theirs: Number(end!.high) - Number(group!.partitions[0]!.offset) };
}

it('C70 the lag of a new group counts only what is still kept, for us and for whoever scales by it', async () => {
  await expect.poll(lags, { timeout: 30_000 }).toEqual({ ours: 60, theirs: 60 });
  isUp = true;
  for (const response of held) response.writeHead(204).end();
  await expect.poll(lags, { timeout: 30_000 }).toEqual({ ours: 0, theirs: 0 });
});
