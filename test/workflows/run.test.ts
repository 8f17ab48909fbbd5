import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { headerText } from '../../src/cloudevents/record.ts';
import type { TestFunction } from '../dispatcher/rig.ts';
import { call, dataOf, keyOf, undoneBy, WorkflowRig, wait } from './rig.ts';

let rig: WorkflowRig;
let target: TestFunction;
/** What the function answers by step: a status, or JSON. */
let answers: Record<string, number | object>;

beforeEach(async () => {
  rig = new WorkflowRig();
  await rig.open();
  answers = {};
  target = await rig.function((one, response) => {
    const answer = answers[keyOf(one).split('/').slice(1).join('/')] ?? 204;
    if (typeof answer === 'number') response.writeHead(answer).end();
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
});
afterEach(() => rig.close());

const keys = () => target.received.map(keyOf);
const results = async (count: number) => (await rig.read('orders.done', count)).map(dataOf);
const steps = () => ['reserve', 'charge', 'ship'].map((name) => call(name, target, undoneBy(target)));

describe('an order', () => {
  test('goes through its steps; each gets the event and the results so far', async () => {
    answers = { reserve: { place: 7 }, charge: { receipt: 'r1' } };
    await rig.run({ steps: steps() });
    await rig.send(
      'orders',
      'o1',
      { total: 12 },
      { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` },
    );
    await rig.seen.count('done', 1);
    expect(keys()).toEqual(['o1/reserve', 'o1/charge', 'o1/ship']);
    const ship = target.received[2]!;
    expect(JSON.parse(ship.body)).toEqual({
      input: {
        specversion: '1.0',
        id: 'o1',
        source: '/shop',
        type: 'shop.order',
        datacontenttype: 'application/json',
        data: { total: 12 },
      },
      results: { reserve: { place: 7 }, charge: { receipt: 'r1' } },
    });
    expect(ship.request.headers).toMatchObject({
      'ce-id': 'o1/ship',
      'ce-source': '/workflows/order',
      'ce-type': 'postern.workflow.step',
      'ce-subject': 'o1',
      'content-type': 'application/json',
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    });
    const [record] = await rig.read('orders.done', 1);
    expect(headerText(record!, 'ce_id')).toBe('o1/ended');
    expect(headerText(record!, 'ce_type')).toBe('postern.workflow.ended');
    expect(Buffer.from(record!.key!).toString()).toBe('o1');
    expect(dataOf(record!)).toEqual({
      id: 'o1',
      outcome: 'done',
      reason: null,
      results: { reserve: { place: 7 }, charge: { receipt: 'r1' } },
    });
    expect(rig.seen.steps.map(({ step, outcome }) => [step, outcome])).toEqual([
      ['reserve', 'done'],
      ['charge', 'done'],
      ['ship', 'done'],
    ]);
  });

  test('keeps numbers as they were sent and answered', async () => {
    const big = '12345678901234567890';
    const seen: string[] = [];
    const odd = await rig.function((one, response) => {
      seen.push(one.body);
      response.writeHead(200, { 'content-type': 'application/json' }).end(`{"n":${big}}`);
    });
    await rig.run({ steps: [call('a', odd), call('b', odd)] });
    await rig.log.append([
      {
        topic: 'orders',
        key: null,
        value: Buffer.from(`{"n":${big}}`),
        headers: { ce_specversion: '1.0', ce_id: 'o1', ce_source: '/s', ce_type: 't' },
      },
    ]);
    await rig.seen.count('done', 1);
    expect(seen[1]).toContain(`"data":{"n":${big}}`);
    expect(seen[1]).toContain(`"results":{"a":{"n":${big}}}`);
  });

  test('that is refused half-way is undone from the last step on', async () => {
    answers = { ship: 422, reserve: { place: 7 } };
    await rig.run({ steps: steps() });
    await rig.send('orders', 'o1', {});
    await rig.seen.count('undone', 1);
    expect(keys()).toEqual(['o1/reserve', 'o1/charge', 'o1/ship', 'o1/charge/undo', 'o1/reserve/undo']);
    expect(target.received[3]!.request.headers['ce-type']).toBe('postern.workflow.undo');
    expect(await results(1)).toEqual([
      {
        id: 'o1',
        outcome: 'undone',
        reason: { step: 'ship', reason: 'refused' },
        results: { reserve: { place: 7 } },
      },
    ]);
  });

  test('is tried again, and a step that may have been done is undone when it is given up', async () => {
    answers = { charge: 503 };
    await rig.run({ steps: steps() });
    await rig.send('orders', 'o1', {});
    await rig.seen.count('undone', 1);
    expect(keys()).toEqual([
      'o1/reserve',
      'o1/charge',
      'o1/charge',
      'o1/charge',
      'o1/charge/undo',
      'o1/reserve/undo',
    ]);
    expect(rig.seen.steps[1]).toMatchObject({ step: 'charge', outcome: 'failed', attempts: 3, status: 503 });
  });

  test('whose function is not there is undone without that step', async () => {
    const gone = await rig.function();
    await gone.server.close();
    await rig.run({ steps: [call('a', target, undoneBy(target)), call('b', gone, undoneBy(target))] });
    await rig.send('orders', 'o1', {});
    await rig.seen.count('undone', 1);
    expect(keys()).toEqual(['o1/a', 'o1/a/undo']);
  });

  test('is one, however often its event comes; one of another source with its id begins under a longer one', async () => {
    await rig.run({ steps: [call('a', target), wait('w', 'event.data.order == workflow.id')] });
    await rig.send('orders', 'o1', {});
    await rig.send('orders', 'o1', {});
    await rig.send('orders', 'o1', { other: true }, { ce_source: '/other' });
    await rig.send('orders', 'o1', { other: true }, { ce_source: '/other' });
    await rig.seen.count('id_taken', 2);
    const longer = `o1~${createHash('sha256').update('/other').digest('hex').slice(0, 16)}`;
    await target.until(() => target.received.length === 2);
    expect(keys().sort()).toEqual(['o1/a', `${longer}/a`]);
    // Who approves of an order does not approve of the other one.
    await rig.send('approvals', 'p', { order: 'o1' });
    await rig.seen.count('done', 1);
    await rig.send('approvals', 'p2', { order: longer });
    await rig.seen.count('done', 2);
    target.received.length = 0;
    await rig.send('orders', 'o1', {});
    await rig.send('orders', 'o2', {});
    await rig.send('approvals', 'q', { order: 'o2' });
    await rig.seen.count('done', 3);
    expect(keys()).toEqual(['o2/a']);
  });

  test('skips what `when` says no to; a `when` without an answer undoes', async () => {
    const when = 'workflow.input.data.total > 100.0 && workflow.results.a.ok';
    answers = { a: { ok: true } };
    await rig.run({
      steps: [call('a', target, undoneBy(target)), call('b', target, { when }), call('c', target)],
    });
    await rig.send('orders', 'o1', { total: 1 });
    await rig.seen.count('done', 1);
    await rig.send('orders', 'o2', { total: 101 });
    await rig.seen.count('done', 2);
    await rig.send('orders', 'o3', { total: 'much' });
    await rig.seen.count('undone', 1);
    expect(keys()).toEqual(['o1/a', 'o1/c', 'o2/a', 'o2/b', 'o2/c', 'o3/a', 'o3/a/undo']);
  });

  test('runs the steps of a stage side by side', async () => {
    answers = { c: 400 };
    await rig.run({
      steps: [
        call('a', target, undoneBy(target)),
        { parallel: [call('b', target, undoneBy(target)), call('c', target)] },
      ],
    });
    await rig.send('orders', 'o1', {});
    await rig.seen.count('undone', 1);
    expect(keys().slice(0, 1)).toEqual(['o1/a']);
    expect(keys().slice(1, 3).sort()).toEqual(['o1/b', 'o1/c']);
    expect(keys().slice(3)).toEqual(['o1/b/undo', 'o1/a/undo']);
  });

  test('does not begin when its event is another', async () => {
    await rig.run({ on: { topics: ['orders'], filter: 'event.type == "order.placed"' }, steps: steps() });
    await rig.send('orders', 'o1', {});
    await rig.send('orders', 'o2', {}, { ce_type: 'order.placed' });
    await rig.seen.count('done', 1);
    expect(keys()).toEqual(['o2/reserve', 'o2/charge', 'o2/ship']);
  });
});

describe('an approval', () => {
  const filter = 'event.data.order == workflow.id && event.data.sum >= workflow.input.data.total';
  const flow = () => ({
    steps: [call('a', target, undoneBy(target)), wait('ok', filter), call('b', target)],
  });

  test('is waited for, and is then the result of its step', async () => {
    const workflows = await rig.run(flow());
    await rig.send('orders', 'o1', { total: 5 });
    await target.until(() => keys().length === 1);
    await rig.send('approvals', 'p1', { order: 'o1', sum: 4 });
    await rig.send('approvals', 'p2', { order: 'o2', sum: 9 });
    await rig.send('approvals', 'p3', {});
    await rig.send('approvals', 'p4', { order: 'o1', sum: 6 });
    await rig.seen.count('done', 1);
    expect(JSON.parse(target.received[1]!.body).results.ok).toMatchObject({
      id: 'p4',
      data: { order: 'o1', sum: 6 },
    });
    expect(workflows.list('order')).toEqual([]);
    expect(workflows.instances()).toContainEqual({ workflow: 'order', status: 'expected', value: 1 });
  });

  test('that comes before it is waited for is used', async () => {
    await rig.send('approvals', 'p4', { order: 'o1', sum: 6 });
    await rig.run(flow());
    await rig.send('orders', 'o1', { total: 5 });
    await rig.seen.count('done', 1);
    expect(keys()).toEqual(['o1/a', 'o1/b']);
  });

  test('that does not come in time undoes the order', async () => {
    await rig.run({ steps: [call('a', target, undoneBy(target)), wait('ok', filter, { timeout: 1 })] });
    await rig.send('orders', 'o1', { total: 5 });
    await rig.seen.count('undone', 1);
    expect(rig.seen.instances.at(-1)).toMatchObject({
      workflow: 'order',
      outcome: 'undone',
      step: 'ok',
      reason: 'timeout',
    });
  });

  test('survives a restart of everything', async () => {
    const first = await rig.run(flow());
    await rig.send('orders', 'o1', { total: 5 });
    await target.until(() => keys().length === 1);
    await expect.poll(() => first.list('order')![0]?.steps.ok?.state).toBe('waiting');
    await first.stop(1_000);
    await rig.reopen();
    await rig.send('approvals', 'p4', { order: 'o1', sum: 6 });
    await rig.run(flow());
    await rig.seen.count('done', 1);
    expect(keys()).toEqual(['o1/a', 'o1/b']);
  });
});

describe('people', () => {
  const flow = () => ({ steps: [call('a', target, undoneBy(target)), call('b', target)] });

  test('hear of what cannot be undone, and have it tried again', async () => {
    answers = { b: 422, 'a/undo': 400 };
    const workflows = await rig.run(flow());
    await rig.send('orders', 'o1', {});
    await rig.seen.count('failed', 1);
    const [letter] = await rig.read('order.dead', 1);
    expect(headerText(letter!, 'postern_reason')).toBe('undo_failed');
    expect(headerText(letter!, 'ce_id')).toBe('o1/a/undo');
    expect(await results(1)).toMatchObject([{ id: 'o1', outcome: 'failed' }]);
    expect(workflows.list('order')).toMatchObject([{ id: 'o1', status: 'failed' }]);

    answers = {};
    expect(await workflows.retry('order', 'o1')).toBe('stored');
    await rig.seen.count('undone', 1);
    const told = await rig.read('orders.done', 2);
    expect(told.map((one) => headerText(one, 'ce_id'))).toEqual(['o1/failed/0', 'o1/ended']);
    expect(await workflows.retry('order', 'o1')).toBe('not_now');
    expect(await workflows.retry('order', 'o2')).toBe('unknown');
    expect(await workflows.retry('other', 'o1')).toBe('unknown');
  });

  test('leave it at that', async () => {
    answers = { b: 422, 'a/undo': 400 };
    const workflows = await rig.run(flow());
    await rig.send('orders', 'o1', {});
    await rig.seen.count('failed', 1);
    await rig.read('orders.done', 1);
    expect(await workflows.cancel('order', 'o1')).toBe('stored');
    await rig.seen.count('failed', 2);
    expect((await rig.read('orders.done', 2)).map((one) => headerText(one, 'ce_id'))).toEqual([
      'o1/failed/0',
      'o1/ended',
    ]);
  });

  test('cancel an order, and it is undone', async () => {
    const workflows = await rig.run({
      steps: [call('a', target, undoneBy(target)), wait('ok', 'event.data.order == workflow.id')],
    });
    await rig.send('orders', 'o1', {});
    await target.until(() => keys().length === 1);
    expect(await workflows.cancel('order', 'o1')).toBe('stored');
    await rig.seen.count('undone', 1);
    expect(keys()).toEqual(['o1/a', 'o1/a/undo']);
  });
});
