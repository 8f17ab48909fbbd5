import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Answer } from '../../src/function/answer.ts';
import { conclude } from '../../src/function/answer.ts';
import type { Invoker } from '../../src/function/invoker.ts';
import { lambdaInvoker } from '../../src/function/lambda.ts';
import { stored } from '../dispatcher/records.ts';
import { type Did, type LambdaEmulator, startLambda } from '../services/lambda.ts';

// AWS's emulator and the function under it; it cannot throttle, and does not check who calls.
describe.each(['go', 'node'] as const)('lambdaInvoker and a function in %s', (language) => {
  let emulator: LambdaEmulator;
  let invoker: Invoker;
  let offset = 0;
  beforeAll(async () => {
    emulator = await startLambda(language);
  });
  afterAll(() => emulator.stop());
  beforeEach(async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'id');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    invoker = await lambdaInvoker({
      lambda: { name: 'function', region: 'eu-central-1', endpoint: emulator.endpoint, invoke: 'sync' },
      timeout: 30_000,
      concurrency: 1,
      bootstrapServers: 'one:9092,two:9092',
      wantsReply: true,
    });
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await invoker.close();
  });

  function call(...dids: Did[]): Promise<Answer> {
    const records = dids.map((did) =>
      stored(
        JSON.stringify(did),
        { city: 'Zürich' },
        { partition: offset % 2, offset: offset++, key: Buffer.from('ключ') },
      ),
    );
    return new Promise((answered) => {
      invoker.invoke(records, { answered }, true);
    });
  }

  test('it reads our event as one of Kafka', async () => {
    const first = offset;
    expect(await call({ id: 'a' }, { id: 'b' }, { id: 'c' })).toMatchObject({ status: 200, fault: null });
    const seen = (await emulator.seen()).slice(-3);
    expect(seen.map(({ value, partition }) => [value.id, partition])).toEqual([
      ['a', first % 2],
      ['c', first % 2],
      ['b', (first + 1) % 2],
    ]);
    expect(seen[0]).toMatchObject({
      eventSource: 'SelfManagedKafka',
      bootstrapServers: 'one:9092,two:9092',
      topic: 'orders',
      offset: first,
      timestamp: Date.UTC(2024, 0, 2),
      timestampType: 'CREATE_TIME',
      key: 'ключ',
    });
    expect(seen[0]!.headers).toContainEqual({ ce_type: 'shop.order' });
    expect(seen[0]!.headers).toContainEqual({ city: 'Zürich' });
  });

  test('kept warm, it sees an event without records, which is no error', async () => {
    const before = await emulator.seen();
    expect(await call()).toMatchObject({ status: 200, fault: null, failed: null, reply: null });
    await invoker.warm();
    expect(await emulator.seen()).toEqual(before);
    expect(await call({ id: 'after' })).toMatchObject({ status: 200, fault: null });
    expect((await emulator.seen()).slice(before.length)).toMatchObject([{ value: { id: 'after' } }]);
  });

  test('C57 what it lists as failed is told by its place', async () => {
    const answer = await call({}, { do: 'fail' }, {}, { do: 'fail' });
    expect(answer).toMatchObject({ status: 200, fault: null, failed: [1, 3] });
    expect(conclude(answer)).toBe('done');
    expect((await call({}, {})).failed).toBeNull();
  });

  test('C56 a function that throws, exits or takes too long has failed, and the next call works', async () => {
    const thrown = await call({}, { do: 'error' });
    expect(thrown).toMatchObject({ status: 200, fault: 'function_error', failed: null });
    expect(thrown.detail).toContain('no such order');
    expect(conclude(thrown)).toBe('retry');
    const ended = await call({ do: 'exit' });
    expect(ended).toMatchObject({ status: 502, fault: null });
    expect(conclude(ended)).toBe('retry');
    const late = await call({ do: 'hang' });
    expect(late).toMatchObject({ status: 200, fault: 'function_error' });
    expect(late.detail).toMatch(/^Task timed out after \d\.00 seconds$/);
    expect(await call({})).toMatchObject({ status: 200, fault: null });
  });

  test('C56 an answer of 7 MB is a failure', async () => {
    const answer = await call({ do: 'long' });
    expect(conclude(answer)).toBe('retry');
    expect(answer.status === 502 || answer.fault === 'function_error').toBe(true);
    expect(await call({})).toMatchObject({ status: 200, fault: null });
  });

  test('a CloudEvent in the answer is a reply', async () => {
    const event = { specversion: '1.0', id: '1', source: '/fn', type: 'priced' };
    const { reply } = await call({ do: 'reply', with: event });
    expect(reply!.headers).toEqual({ 'content-type': 'application/cloudevents+json' });
    expect(JSON.parse(Buffer.from(reply!.body).toString())).toEqual(event);
    expect((await call({ do: 'reply', with: { price: 1 } })).reply).toBeNull();
  });

  test('C56 a call just below 6 MB arrives whole, and a larger one is not made', async () => {
    const before = (await emulator.seen()).length;
    const most = Math.floor(((6 * 1024 * 1024 - 1000) / 4) * 3);
    expect(await call({ id: 'large', pad: 'x'.repeat(most) })).toMatchObject({ status: 200, fault: null });
    const seen = await emulator.seen();
    expect(seen.length).toBe(before + 1);
    expect(seen.at(-1)).toMatchObject({ value: { id: 'large' }, bytes: most });
    const answer = await call({ pad: 'x'.repeat(most + 1000) });
    expect(answer).toMatchObject({ status: null, fault: 'too_large' });
    expect(conclude(answer)).toBe('refused');
    expect((await emulator.seen()).length).toBe(before + 1);
  });
});
