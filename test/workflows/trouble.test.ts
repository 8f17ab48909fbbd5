import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { headerText } from '../../src/cloudevents/record.ts';
import type { AppendVerdict, EventLog, LogRecord } from '../../src/ports/event-log.ts';
import { changedLog, type Received, type TestFunction } from '../dispatcher/rig.ts';
import { call, dataOf, keyOf, undoneBy, WorkflowRig, wait } from './rig.ts';

let rig: WorkflowRig;
let target: TestFunction;
let answer: (key: string, one: Received) => number | string | Promise<number | string>;

beforeEach(async () => {
  rig = new WorkflowRig();
  await rig.open();
  answer = () => 204;
  target = await rig.function(async (one, response) => {
    const answered = await answer(keyOf(one), one);
    if (typeof answered === 'number') response.writeHead(answered).end();
    else response.writeHead(200, { 'content-type': 'text/plain' }).end(answered);
  });
});
afterEach(() => rig.close());

const keys = () => target.received.map(keyOf);
const kindOf = ({ headers }: LogRecord) => String(headers.postern_workflow ?? '');

/** The log, but some records get another verdict; the others are stored. */
function judging(log: EventLog, judge: (record: LogRecord) => AppendVerdict | null): EventLog {
  return changedLog(log, {
    async append(records) {
      const verdicts = records.map(judge);
      const good = await log.append(records.filter((_, i) => verdicts[i] === null));
      return verdicts.map((verdict) => verdict ?? good.shift()!);
    },
  });
}

describe('a log that', () => {
  test('takes nothing for a while delays, and loses nothing', async () => {
    let failures = 6;
    const log = judging(rig.log, () => (failures-- > 0 ? 'failed' : null));
    await rig.run({ steps: [call('a', target), call('b', target)] }, {}, log);
    await rig.send('orders', 'o1', {});
    await rig.send('orders', 'o2', {});
    await rig.seen.count('done', 2);
    expect(keys().sort()).toEqual(['o1/a', 'o1/b', 'o2/a', 'o2/b']);
    expect(failures).toBeLessThan(0);
  });

  test('is away says so, until it is back', async () => {
    let isAway = true;
    const log = judging(rig.log, () => (isAway ? 'failed' : null));
    const workflows = await rig.run({ steps: [call('a', target)] }, {}, log);
    await rig.send('orders', 'o1', {});
    await expect
      .poll(() => workflows.problem())
      .toContain('workflow order: records cannot be stored in workflow.order');
    isAway = false;
    await rig.seen.count('done', 1);
    expect(workflows.problem()).toBe(null);
  });

  test('does not take a result for its size has the step undone', async () => {
    answer = (key) => (key === 'o1/a' ? 'x'.repeat(5_000) : 204);
    const log = judging(rig.log, (record) =>
      kindOf(record) === 'called' && record.value!.length > 5_000 ? 'too_large' : null,
    );
    await rig.run({ steps: [call('a', target, undoneBy(target)), call('b', target)] }, {}, log);
    await rig.send('orders', 'o1', {});
    await rig.seen.count('undone', 1);
    expect(keys()).toEqual(['o1/a', 'o1/a/undo']);
    expect(rig.seen.instances.at(-1)).toMatchObject({ step: 'a', reason: 'too_large' });
  });

  test('does not take all results tells without them', async () => {
    answer = () => 'x'.repeat(500);
    const log = judging(rig.log, ({ topic, value }) =>
      topic === 'orders.done' && value!.length > 500 ? 'too_large' : null,
    );
    await rig.run({ steps: [call('a', target)] }, {}, log);
    await rig.send('orders', 'o1', {});
    const [told] = await rig.read('orders.done', 1);
    expect(dataOf(told!)).toEqual({ id: 'o1', outcome: 'done', reason: null, results: null });
  });

  test('does not take an event for its size has it as a dead letter', async () => {
    const log = judging(rig.log, ({ topic, value }) =>
      topic === 'workflow.order' && (value?.length ?? 0) > 1_000 ? 'too_large' : null,
    );
    await rig.run({ steps: [call('a', target)] }, {}, log);
    await rig.send('orders', 'o1', { text: 'x'.repeat(1_000) });
    await rig.send('orders', 'o2', {});
    await rig.seen.count('done', 1);
    const [letter] = await rig.read('order.dead', 1);
    expect([headerText(letter!, 'ce_id'), headerText(letter!, 'postern_reason')]).toEqual([
      'o1',
      'too_large',
    ]);
    expect(keys()).toEqual(['o2/a']);
  });
});

describe('a process that', () => {
  test('dies before it could note an outcome calls again with the same key, and undoes what then fails', async () => {
    answer = (key) => (key === 'o1/b' ? 422 : 204);
    // What a process that is killed here would leave behind.
    const deaf = judging(rig.log, (record) =>
      kindOf(record) === 'called' && String(record.value).includes('"step":"b"') ? 'failed' : null,
    );
    const flow = { steps: [call('a', target, undoneBy(target)), call('b', target, undoneBy(target))] };
    const first = await rig.run(flow, {}, deaf);
    await rig.send('orders', 'o1', {});
    await expect.poll(keys).toEqual(['o1/a', 'o1/b']);
    await first.stop(100);
    await rig.run(flow);
    await rig.seen.count('undone', 1);
    // It may have been done by the one that died.
    expect(keys()).toEqual(['o1/a', 'o1/b', 'o1/b', 'o1/b/undo', 'o1/a/undo']);
  });

  test('stops lets calls under way end, and their outcome counts', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    answer = async (key) => {
      if (key === 'o1/a') await promise;
      return 204;
    };
    const flow = { steps: [call('a', target), call('b', target)] };
    const first = await rig.run(flow);
    await rig.send('orders', 'o1', {});
    await expect.poll(keys).toEqual(['o1/a']);
    const stopped = first.stop(30_000);
    resolve();
    await stopped;
    await rig.run(flow);
    await rig.seen.count('done', 1);
    expect(keys()).toEqual(['o1/a', 'o1/b']);
  });

  test('has much behind an instance stores its state again, and the next one needs no more', async () => {
    const flow = () => ({
      steps: [call('a', target), wait('ok', 'event.data.order == workflow.id'), call('b', target)],
    });
    answer = (key) => `answer of ${key}`;
    const first = await rig.run(flow());
    await rig.send('orders', 'o1', { total: 3 });
    await expect.poll(() => first.list('order')![0]?.steps.ok?.state).toBe('waiting');
    const junk = Array.from({ length: 5_100 }, () => ({
      topic: 'workflow.order',
      key: 'nobody',
      value: null,
      headers: {},
    }));
    await rig.log.append(junk);
    const records = await rig.read('workflow.order', 5_103);
    expect(kindOf(records.at(-1)!)).toBe('state');
    await first.stop(1_000);
    // Whoever reads from the stored state on knows everything.
    const seen: string[] = [];
    const log = changedLog(rig.log, {
      consume: (options, sink) =>
        rig.log.consume(options, {
          ...sink,
          records(partition, all, end) {
            if (partition.topic === 'workflow.order') seen.push(...all.map(kindOf));
            sink.records(partition, all, end);
          },
        }),
    });
    await rig.run(flow(), {}, log);
    await rig.send('approvals', 'p', { order: 'o1' });
    await rig.seen.count('done', 1);
    expect(seen[0]).toBe('state');
    expect(keys()).toEqual(['o1/a', 'o1/b']);
    expect(JSON.parse(target.received[1]!.body)).toMatchObject({
      input: { data: { total: 3 } },
      results: { a: 'answer of o1/a', ok: { id: 'p' } },
    });
  });
});

test('what began as the answer to too many answers is told to nobody but the dead letters', async () => {
  await rig.run({ steps: [call('a', target)], result: 'orders', on: { topics: ['orders'], filter: null } });
  await rig.send('orders', 'o1', {});
  const [letter] = await rig.read('order.dead', 1);
  expect(headerText(letter!, 'postern_reason')).toBe('too_many_hops');
  expect(keys()).toHaveLength(17);
});

test('a step that the config has no more cannot be undone, until it is there again', async () => {
  const steps = [call('a', target, undoneBy(target)), call('b', target)];
  const first = await rig.run({ steps: [...steps, wait('ok', 'event.data.order == workflow.id')] });
  await rig.send('orders', 'o1', {});
  await expect.poll(() => first.list('order')![0]?.steps.ok?.state).toBe('waiting');
  await first.stop(1_000);
  const second = await rig.run({ steps: [steps[1]!, wait('ok', 'event.data.order == workflow.id')] });
  await expect.poll(() => second.list('order')!.length).toBe(1);
  expect(await second.cancel('order', 'o1')).toBe('stored');
  await rig.seen.count('failed', 1);
  await expect.poll(() => second.list('order')![0]!.told).toBe(true);
  await second.stop(1_000);
  const third = await rig.run({ steps: [...steps, wait('ok', 'event.data.order == workflow.id')] });
  await expect.poll(() => third.list('order')![0]?.status).toBe('failed');
  expect(await third.retry('order', 'o1')).toBe('stored');
  await rig.seen.count('undone', 1);
  expect(keys()).toEqual(['o1/a', 'o1/b', 'o1/a/undo']);
});

test('no more calls are made at once than the config says, and a cancelled one is not tried again', async () => {
  let now = 0;
  let most = 0;
  answer = async (key) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setImmediate(resolve));
    now--;
    return key.startsWith('slow') ? 503 : 204;
  };
  const retry = { attempts: 5, min: 60_000, max: 60_000 };
  const workflows = await rig.run({
    concurrency: 3,
    steps: [call('a', target, { ...undoneBy(target), retry })],
  });
  for (let i = 0; i < 30; i++) await rig.send('orders', `o${i}`, {});
  await rig.seen.count('done', 30);
  expect(most).toBeLessThanOrEqual(3);
  await rig.send('orders', 'slow', {});
  await expect.poll(() => keys().filter((key) => key.startsWith('slow'))).toEqual(['slow/a']);
  // Its next attempt would come in half a minute or so.
  expect(await workflows.cancel('order', 'slow')).toBe('stored');
  await expect.poll(() => keys().filter((key) => key.startsWith('slow'))).toEqual(['slow/a', 'slow/a/undo']);
});
