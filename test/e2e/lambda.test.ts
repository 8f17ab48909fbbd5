import { request as forward } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import type { LambdaFunction } from '../../src/config/function/types.ts';
import type { SubscriptionConfig } from '../../src/config/subscription/types.ts';
import { kafkaEvent } from '../../src/function/lambda-event.ts';
import { httpFunction, type TestServer } from '../dispatcher/functions.ts';
import { foreign } from '../dispatcher/records.ts';
import { eventRecord, Rig, subscription, type TestFunction } from '../dispatcher/rig.ts';
import { type Did, type LambdaEmulator, type Seen, startLambda } from '../services/lambda.ts';
import { makeProject, startPostern } from './postern.ts';
import { runPython } from './python.ts';

// Functions under AWS's Runtime Interface Emulator, called through AWS's SDK.

const credentials = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' };
beforeEach(() => {
  for (const [name, value] of Object.entries(credentials)) vi.stubEnv(name, value);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const idsOf = (seen: Seen[]) => seen.map(({ value }) => value.id);
const numbers = (count: number) => Array.from({ length: count }, (_, i) => `e${i}`);

describe.each(['go', 'node'] as const)('a subscription with a function in %s', (language) => {
  let emulator: LambdaEmulator;
  let rig: Rig;
  let before = 0;
  const servers: TestServer[] = [];
  beforeAll(async () => {
    emulator = await startLambda(language);
  });
  afterAll(() => emulator.stop());
  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
    before = (await emulator.seen()).length;
  });
  afterEach(async () => {
    await rig.close();
    for (const server of servers.splice(0)) await server.close();
  });

  // It takes one call at a time.
  function lambda(changes: Partial<SubscriptionConfig & LambdaFunction> = {}): SubscriptionConfig {
    const { name = 'function', region = 'eu-central-1', invoke = 'sync', ...rest } = changes;
    const { endpoint = emulator.endpoint, ...more } = rest;
    const target = { lambda: { name, region, endpoint, invoke } };
    const nobody = { server: { url: '' } } as TestFunction;
    return { ...subscription(nobody), function: target, concurrency: 1, ...more };
  }

  async function append(dids: Did[]): Promise<void> {
    const records = dids.map((did) => eventRecord(did.id!, JSON.stringify(did)));
    expect(new Set(await rig.log.append(records))).toEqual(new Set(['stored']));
  }

  const seen = async () => (await emulator.seen()).slice(before);
  const settled = (count: number) =>
    rig.facts.until(() => rig.facts.events('delivered') + rig.facts.events('dead_letter') === count);

  async function deadLetters(count: number) {
    return (await rig.read('mail.dead', count)).map(({ headers }) => ({
      id: String(headers.ce_id),
      reason: String(headers.postern_reason),
      attempts: String(headers.postern_attempts),
    }));
  }

  test('events come in batches, in order', async () => {
    await append(numbers(25).map((id) => ({ id })));
    await rig.start([lambda()]);
    await settled(25);
    expect(idsOf(await seen())).toEqual(numbers(25));
    const calls = rig.facts.all.map(({ events }) => events);
    expect(Math.max(...calls)).toBe(10);
    expect(calls.length).toBeLessThan(10);
  });

  test('C57 only what the function lists as failed comes again', async () => {
    const poison = (id: string) => id === 'e3' || id === 'e7';
    await append(numbers(10).map((id) => ({ id, ...(poison(id) ? { do: 'fail once' as const } : {}) })));
    await append([{ id: 'never', do: 'fail' }]);
    await rig.start([lambda()]);
    await settled(11);
    const ids = idsOf(await seen());
    for (const id of numbers(10))
      expect([id, ids.filter((one) => one === id).length]).toEqual([id, poison(id) ? 2 : 1]);
    expect(rig.facts.events('delivered')).toBe(10);
    expect(ids.filter((id) => id === 'never')).toHaveLength(3);
    expect(await deadLetters(1)).toMatchObject([{ id: 'never', attempts: '3' }]);
  });

  test('C56 an event that makes the function throw ends alone in the dead-letter topic', async () => {
    await append(numbers(10).map((id) => ({ id, ...(id === 'e6' ? { do: 'error' as const } : {}) })));
    await rig.start([lambda()]);
    await settled(10);
    expect(await deadLetters(1)).toMatchObject([{ id: 'e6', reason: 'function_error' }]);
    expect(rig.facts.events('delivered')).toBe(9);
    expect(new Set(idsOf(await seen()))).toEqual(new Set(numbers(10)));
  });

  test('C56 so do events for which it exits, takes too long, or answers with 7 MB', async () => {
    await append([
      { id: 'exit', do: 'exit' },
      { id: 'hang', do: 'hang' },
      { id: 'long', do: 'long' },
      { id: 'good' },
    ]);
    await rig.start([
      lambda({ retry: { attempts: 1, min: 1, max: 1 }, batch: { events: 1, wait: 0, size: 1e6 } }),
    ]);
    await settled(4);
    expect((await deadLetters(3)).map(({ id }) => id).sort()).toEqual(['exit', 'hang', 'long']);
    expect(rig.facts.events('delivered')).toBe(1);
  });

  test('C56 7 MB of events are several calls, each below 6 MB with its base64', async () => {
    await append(numbers(10).map((id) => ({ id, pad: 'x'.repeat(700_000) })));
    await rig.start([lambda({ batch: { events: 100, wait: 500, size: 6 * 1024 * 1024 } })]);
    await settled(10);
    expect((await seen()).map(({ value, bytes }) => [value.id, bytes])).toEqual(
      numbers(10).map((id) => [id, 700_000]),
    );
    // No call was made in vain: the sizes were right before.
    expect(new Set(rig.facts.all.map(({ outcome }) => outcome))).toEqual(new Set(['delivered']));
    expect(rig.facts.all.length).toBeGreaterThan(1);
    expect(rig.facts.all.length).toBeLessThan(10);
  });

  test('C56 an event that is too large for any call is a dead letter that says so', async () => {
    await append([{ id: 'e0' }, { id: 'large', pad: 'x'.repeat(5_000_000) }, { id: 'e1' }]);
    await rig.start([lambda({ batch: { events: 100, wait: 20, size: 6 * 1024 * 1024 } })]);
    await settled(3);
    expect(await deadLetters(1)).toMatchObject([{ id: 'large', reason: 'too_large' }]);
    expect(idsOf(await seen())).toEqual(['e0', 'e1']);
  });

  test('C56 asynchronous calls are done when they are taken', async () => {
    await append(numbers(3).map((id) => ({ id })));
    await rig.start([lambda({ invoke: 'async' })]);
    await settled(3);
    expect(rig.facts.events('delivered')).toBe(3);
    expect(idsOf(await seen())).toEqual(numbers(3));
  });

  test('a CloudEvent that the function answers with goes to the reply topic', async () => {
    const answer = { specversion: '1.0', id: 'p1', source: '/prices', type: 'priced', data: { price: 3 } };
    await append([{ id: 'e0', do: 'reply', with: answer }, { id: 'e1' }]);
    await rig.start([lambda({ reply: 'prices' })]);
    await settled(2);
    const [record] = await rig.read('prices', 1);
    expect(String(record!.headers.ce_type)).toBe('priced');
    expect(JSON.parse(Buffer.from(record!.value!).toString())).toEqual({ price: 3 });
  });

  // The emulator never throttles: what stands before it here answers as AWS does when it has had enough.
  test('C56 throttling costs no event an attempt', async () => {
    let throttled = 0;
    const { port } = new URL(emulator.endpoint);
    const gate = await httpFunction((request, response) => {
      if (throttled < 4) {
        throttled++;
        const body = JSON.stringify({ Type: 'User', message: 'Rate Exceeded.' });
        response
          .writeHead(429, { 'x-amzn-errortype': 'TooManyRequestsException', 'retry-after': '0' })
          .end(body);
        request.resume();
        return;
      }
      const { method, url, headers } = request;
      const through = forward({ port, method, path: url, headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      request.pipe(through);
    });
    servers.push(gate);
    await append(numbers(5).map((id) => ({ id })));
    const endpoint = `http://127.0.0.1:${gate.port}`;
    await rig.start([lambda({ endpoint, retry: { attempts: 1, min: 1, max: 5 } })]);
    await settled(5);
    expect(throttled).toBe(4);
    expect(rig.facts.events('delivered')).toBe(5);
    expect(new Set(rig.facts.reasons('retry'))).toEqual(new Set(['throttled']));
    expect(idsOf(await seen())).toEqual(numbers(5));
  });
});

test("AWS's library for Python reads our event, signed bytes and all", async () => {
  const record = { ...foreign('{"n":1}', { city: 'Zürich' }), key: Buffer.from('ключ') };
  const event = kafkaEvent([record, { ...record, offset: 8, key: null }], 'one:9092,two:9092').toString();
  const packages = ['aws-lambda-powertools==3.37.0'];
  const { topic, partition, timestamp } = record;
  const read = { topic, partition, timestamp, value: { n: 1 }, headers: { city: 'Zürich' } };
  expect(JSON.parse(await runPython(packages, 'lambda-read.py', [event]))).toEqual({
    source: 'SelfManagedKafka',
    brokers: ['one:9092', 'two:9092'],
    records: [
      { ...read, offset: 7, key: 'ключ' },
      { ...read, offset: 8, key: null },
    ],
  });
});

describe('the process', () => {
  test('events go from HTTP over Kafka to a function that reads them as those of Kafka', async () => {
    const brokers = inject('kafkaBrokers');
    const prefix = `lambda-${crypto.randomUUID().slice(0, 8)}`;
    const emulator = await startLambda('node');
    const project = await makeProject({
      yaml: `
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' } }
sources:
  s: { protocol: events, topic: ${prefix}, id: [/id], key: /id }
subscriptions:
  prices:
    group: ${prefix}
    topics: [${prefix}]
    function: { lambda: { name: function, region: eu-central-1, endpoint: '${emulator.endpoint}' } }
    concurrency: 1
    deadLetter: ${prefix}.dead
    redrive: ${prefix}.redrive
`,
    });
    try {
      const postern = await startPostern(project);
      const reply = await fetch(`${postern.url}/events/s`, {
        method: 'POST',
        body: JSON.stringify(numbers(50).map((id) => ({ id }))),
        headers: { 'content-type': 'application/json' },
      });
      expect(reply.status).toBe(202);
      await expect.poll(async () => (await emulator.seen()).length).toBe(50);
      const seen = await emulator.seen();
      expect(new Set(idsOf(seen))).toEqual(new Set(numbers(50)));
      for (const one of seen) {
        expect(one).toMatchObject({
          eventSource: 'SelfManagedKafka',
          bootstrapServers: brokers,
          topic: prefix,
        });
        expect(one.key).toBe(one.value.id);
        expect(one.headers).toContainEqual({ ce_id: one.value.id });
      }
      postern.kill('SIGTERM');
      expect(await postern.exited).toBe(0);
      expect(new Set(idsOf(await emulator.seen())).size).toBe(50);
    } finally {
      await emulator.stop();
      await project.remove();
    }
  });
});
