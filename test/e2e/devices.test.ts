import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildGo } from '../services/go.ts';
import { acceptedOf, counterOf } from './counters.ts';
import { type ReadRecord, readTopic } from './kafka-reader.ts';
import { type LossyProxy, startLossyProxy } from './lossy-proxy.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';

const run = promisify(execFile);
const brokers = inject('kafkaBrokers');
const redis = inject('redisUrl');
const prefix = `devices-${crypto.randomUUID().slice(0, 8)}`;

const programs = Promise.all([
  buildGo('cloudevents-send'),
  buildGo('telegraf', {
    package: 'github.com/influxdata/telegraf/cmd/telegraf',
    tags: ['custom', 'inputs.mock', 'outputs.http', 'serializers.json', 'serializers.cloudevents'],
  }),
]);
// A build takes minutes where nothing is cached.
const BUILD_MS = 900_000;

let project: Project;
let postern: Postern;
beforeAll(async () => {
  await programs;
  project = await makeProject({
    yaml: `
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${redis}', prefix: '${prefix}:' }, outage: refuse }
sources:
  go: { topic: ${prefix}.go }
  metrics:
    topic: ${prefix}.metrics
    keys: [telegraf-key]
    id: [/name, /tags/host, /timestamp, /fields/n]
    type: telegraf.metric
    time: /timestamp
    key: /tags/host
  telegraf: { topic: ${prefix}.telegraf, keys: [telegraf-key-2], key: /tags/host }
`,
  });
  postern = await startPostern(project);
}, BUILD_MS);
afterAll(async () => {
  postern.kill('SIGTERM');
  expect(await postern.exited).toBe(0);
  await project.remove();
});

describe('the CloudEvents SDK for Go', () => {
  it('sends an event in binary mode and one structured', async () => {
    const [send] = await programs;
    const { stdout } = await run(send, [`${postern.url}/events/go`]);
    expect(stdout.trim().split('\n')).toEqual(['go-binary 202', 'go-structured 202']);
    const records = await readTopic(brokers, `${prefix}.go`);
    expect(records.map(({ headers }) => headers.ce_id).sort()).toEqual(['go-binary', 'go-structured']);
    for (const { headers, value } of records) {
      expect(headers).toMatchObject({
        ce_specversion: '1.0',
        ce_source: '/sdk/go',
        ce_type: 'sdk.test',
        // In binary mode this SDK sends UTF-8 as it is, and not percent-encoded.
        ce_subject: 'äö 100 %',
        ce_time: '2026-03-01T12:00:00.123456789Z',
        ce_count: '3',
        ce_urgent: 'true',
        'content-type': 'application/json',
      });
      expect(value!.toString()).toBe('{"n":9007199254740993}');
    }
  });
});

/** Ids that are claimed and not confirmed: those hold no number. */
async function claimed(): Promise<Buffer[]> {
  const client = new Redis(redis);
  try {
    const keys = await client.keysBuffer(`${prefix}:*`);
    const values = keys.length === 0 ? [] : await client.mget(keys);
    return keys.filter((_, i) => !/^-?\d+$/.test(values[i] ?? '0'));
  } finally {
    client.disconnect();
  }
}

/** Counts up 50 times a second, and sends what it counted to both sources. */
const telegrafConfig = (port: number) => `
[agent]
  hostname = "pump-1"
  interval = "20ms"
  round_interval = false
  precision = "1ms"
  flush_interval = "200ms"
  metric_batch_size = 25
  metric_buffer_limit = 100000

[[inputs.mock]]
  metric_name = "flow"
  [[inputs.mock.step]]
    name = "n"
    start = 0.0
    step = 1.0

[[outputs.http]]
  url = "http://127.0.0.1:${port}/events/metrics"
  data_format = "json"
  json_timestamp_units = "1ms"
  json_transformation = "metrics"
  content_encoding = "gzip"
  [outputs.http.headers]
    Content-Type = "application/json"
    X-Api-Key = "telegraf-key"

[[outputs.http]]
  url = "http://127.0.0.1:${port}/events/telegraf"
  data_format = "cloudevents"
  [outputs.http.headers]
    Content-Type = "application/cloudevents+json"
    Authorization = "Bearer telegraf-key-2"
`;

interface Metric {
  fields: { n: number };
  tags: { host: string };
}
const countsOf = (records: ReadRecord[]) =>
  records.map(({ value }) => (JSON.parse(value!.toString()) as Metric).fields.n).sort((a, b) => a - b);
const upTo = (last: number) => Array.from({ length: last + 1 }, (_, i) => i);

describe('telegraf', () => {
  let proxy: LossyProxy;
  let telegraf: ChildProcess;
  afterAll(async () => {
    telegraf?.kill('SIGKILL');
    await proxy?.close();
  });

  it('loses nothing and doubles nothing when replies are lost and the gateway is killed', async () => {
    const [, program] = await programs;
    proxy = await startLossyProxy(project.port);
    const config = join(project.folder, 'telegraf.conf');
    await writeFile(config, telegrafConfig(proxy.port));
    telegraf = spawn(program, ['--config', config], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    telegraf.stdout!.on('data', (bytes: Buffer) => (output += bytes.toString()));
    telegraf.stderr!.on('data', (bytes: Buffer) => (output += bytes.toString()));
    const exited = once(telegraf, 'exit') as Promise<[number | null]>;
    const stored = async (count: number) => {
      for (const source of ['metrics', 'telegraf']) {
        await expect
          .poll(() => acceptedOf(postern.admin, source), { message: output })
          .toBeGreaterThan(count);
      }
    };

    await stored(40);
    proxy.mode = 'lose';
    await expect.poll(() => proxy.lost).toBeGreaterThan(2);
    proxy.mode = 'pass';
    const duplicates = () => counterOf(postern.admin, 'events_total', 'source="metrics",verdict="duplicate"');
    await expect.poll(duplicates).toBeGreaterThan(0);

    // An event between append and confirm at a kill may be stored twice, as the promise says, so none may be there now.
    proxy.mode = 'closed';
    await expect.poll(() => proxy.busy).toBe(0);
    await expect.poll(claimed).toEqual([]);
    const turned = proxy.turned;
    postern.kill('SIGKILL');
    expect(await postern.exited).toBe('SIGKILL');
    await expect.poll(() => proxy.turned).toBeGreaterThan(turned + 2);
    proxy.mode = 'pass';
    await expect.poll(() => proxy.turned).toBeGreaterThan(turned + 3);
    postern = await startPostern(project);
    await stored(100);

    telegraf.kill('SIGTERM');
    expect((await exited)[0], output).toBe(0);
    const metrics = await readTopic(brokers, `${prefix}.metrics`);
    const counts = countsOf(metrics);
    expect(counts).toEqual(upTo(counts.at(-1)!));
    for (const { key, headers, value } of metrics) {
      const { timestamp, fields } = JSON.parse(value!.toString()) as Metric & { timestamp: number };
      expect([key!.toString(), headers.ce_type, headers.ce_id, headers.ce_time]).toEqual([
        'pump-1',
        'telegraf.metric',
        `flow:pump-1:${timestamp}:${fields.n}`,
        new Date(timestamp).toISOString(),
      ]);
    }
    // This format gives an event a new id each time that it is sent: only a lost reply makes two of one.
    const events = await readTopic(brokers, `${prefix}.telegraf`);
    const unique = [...new Set(countsOf(events))];
    expect(unique).toEqual(upTo(unique.at(-1)!));
    expect(new Set(events.map(({ headers }) => headers.ce_id)).size).toBe(events.length);
    for (const { key, headers } of events)
      expect([key!.toString(), headers.ce_type, headers.ce_source]).toEqual([
        'pump-1',
        'com.influxdata.telegraf.metric',
        'telegraf',
      ]);
  });
});
