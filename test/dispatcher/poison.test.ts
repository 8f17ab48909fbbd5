import { afterEach, beforeEach, expect, test } from 'vitest';
import { redrive } from '../../src/dispatcher/redrive.ts';
import type { EventLog } from '../../src/ports/event-log.ts';
import type { LogReader } from '../../src/ports/log-reader.ts';
import { idsOf } from './records.ts';
import { eventRecord, numbered, Rig, subscription } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(() => rig.close());

const BATCH = { events: 100, wait: 60_000, size: 10_000_000 };
const eight = { attempts: 8, min: 1, max: 5 };

test.each([
  ['refused', 400, 'none'],
  ['refused', 400, 'key'],
  ['an error', 500, 'none'],
  ['an error', 500, 'key'],
] as const)(
  'one event of a batch of 100 that is %s (%i, order: %s) costs 14 more calls and ends alone as a dead letter',
  async (_, code, order) => {
    const target = await rig.function(({ body }, response) =>
      response.writeHead(idsOf(body).includes('e61') ? code : 200).end(),
    );
    await rig.append(numbered(100));
    await rig.start([subscription(target, { mode: 'batch', batch: BATCH, retry: eight, order })]);
    await rig.facts.until(
      () => rig.facts.events('delivered') === 99 && rig.facts.events('dead_letter') === 1,
    );
    const [letter] = await rig.read('mail.dead', 1);
    expect(Buffer.from(letter!.key!).toString()).toBe('e61');
    // The first call, and 2·log2(100)+1 more.
    expect(target.received.length - 1).toBeLessThanOrEqual(14);
    expect(target.received.length).toBeGreaterThan(8);
  },
);

test('a poison in a batch of one key costs no more, and what comes after it comes in order', async () => {
  const delivered: string[] = [];
  const target = await rig.function(({ body }, response) => {
    const isBad = idsOf(body).includes('e61');
    if (!isBad) delivered.push(...idsOf(body));
    response.writeHead(isBad ? 500 : 200).end();
  });
  const verdicts = await rig.log.append(
    numbered(100).map((id) => ({
      topic: 'orders',
      key: 'k',
      value: Buffer.from('{}'),
      headers: { ce_specversion: '1.0', ce_id: id, ce_source: '/shop', ce_type: 't' },
    })),
  );
  expect(new Set(verdicts)).toEqual(new Set(['stored']));
  await rig.start([subscription(target, { mode: 'batch', batch: BATCH, retry: eight, order: 'key' })]);
  await rig.facts.until(() => rig.facts.events('delivered') === 99 && rig.facts.events('dead_letter') === 1);
  expect(target.received.length - 1).toBeLessThanOrEqual(14);
  expect(delivered).toEqual(numbered(100).filter((id) => id !== 'e61'));
});

test('a poison in a batch of ten keys costs no more, and its redrive reaches that subscription alone, once', async () => {
  let isMended = false;
  const delivered: string[] = [];
  const target = await rig.function(({ body }, response) => {
    const isBad = !isMended && idsOf(body).includes('e64');
    if (!isBad) delivered.push(...idsOf(body));
    response.writeHead(isBad ? 500 : 200).end();
  });
  const other = await rig.function();
  const records = numbered(100).map((id, i) => ({ ...eventRecord(id, '{}'), key: `k${i % 10}` }));
  expect(new Set(await rig.log.append(records))).toEqual(new Set(['stored']));
  const many = { mode: 'batch', batch: { ...BATCH, wait: 1_000 }, retry: eight, order: 'key' } as const;
  const mail = subscription(target, { ...many, redrive: 'mail.redrive' });
  await rig.start([mail, subscription(other, { ...many, name: 'other', redrive: 'other.redrive' })]);
  await rig.facts.until(() => rig.facts.events('delivered') === 199 && rig.facts.events('dead_letter') === 1);
  expect(target.received.length - 1).toBeLessThanOrEqual(14);
  // Of each key in order.
  for (const ids of Map.groupBy(delivered, (id) => id.at(-1)).values()) {
    expect(ids).toEqual(numbered(100).filter((id) => id !== 'e64' && id.at(-1) === ids[0]!.at(-1)));
  }
  const [letter] = await rig.read('mail.dead', 1);
  expect(Buffer.from(letter!.headers.ce_id!).toString()).toBe('e64');

  isMended = true;
  const reader = rig.log as EventLog & LogReader;
  const again = { subscription: mail, reader, log: rig.log, wanted: null, from: null, to: null } as const;
  const options = { ...again, limit: null, rate: null, dryRun: false, clock: () => 0, pause: async () => {} };
  expect(await redrive(options)).toMatchObject({ sent: 1, failed: 0 });
  await rig.facts.until(() => rig.facts.events('delivered') === 200);
  expect(await redrive(options)).toMatchObject({ sent: 0, already: 1 });
  await rig.append(['last']);
  await rig.facts.until(() => rig.facts.events('delivered') === 202);
  expect(delivered.slice(99)).toEqual(['e64', 'last']);
  expect(other.received.map(({ body }) => idsOf(body).length)).toEqual([100, 1]);
});

test('a function that is down gets no storm of halves, and afterwards all events', async () => {
  let isDown = true;
  let calls = 0;
  const target = await rig.function((_, response) => {
    if (isDown) calls++;
    response.writeHead(isDown ? 503 : 200).end();
  });
  await rig.append(numbered(1000));
  const few = { batch: BATCH, concurrency: 4, retry: { attempts: 3, min: 1, max: 5 } };
  const dispatcher = await rig.start([subscription(target, { mode: 'batch', ...few })]);
  await rig.facts.until(() => rig.facts.breakers.at(-1)?.open === true);
  // Five different ones that failed, as many as were on their way, and halves whose other half is the fifth.
  expect(calls).toBeLessThanOrEqual(20);
  isDown = false;
  await rig.facts.until(() => rig.facts.events('delivered') === 1000);
  expect(rig.facts.events('dead_letter')).toBe(0);
  expect(dispatcher.open()).toEqual([{ subscription: 'mail', value: 0 }]);
});

test('C57 listed events are tried again without the others, each up to its last attempt', async () => {
  const failures = new Map([
    ['e3', 99],
    ['e5', 1],
  ]);
  const calls: string[][] = [];
  const target = await rig.function(({ body }, response) => {
    const ids = idsOf(body);
    calls.push(ids);
    const failed = ids.filter((id) => (failures.get(id) ?? 0) > 0);
    for (const id of failed) failures.set(id, failures.get(id)! - 1);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) }));
  });
  await rig.append(numbered(10));
  await rig.start([subscription(target, { mode: 'batch' })]);
  const [letter] = await rig.read('mail.dead', 1);
  await rig.facts.until(() => rig.facts.events('delivered') === 9);
  expect(calls).toEqual([numbered(10), ['e3', 'e5'], ['e3']]);
  expect(Buffer.from(letter!.key!).toString()).toBe('e3');
  expect(Buffer.from(letter!.headers.postern_reason!).toString()).toBe('item_failed');
  expect(Buffer.from(letter!.headers.postern_attempts!).toString()).toBe('3');
});

test('C57 a list with an unknown entry fails the whole batch', async () => {
  let calls = 0;
  const target = await rig.function((_, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ batchItemFailures: ++calls === 1 ? [{ itemIdentifier: 'nobody' }] : [] }));
  });
  await rig.append(numbered(10));
  await rig.start([subscription(target, { mode: 'batch' })]);
  await rig.facts.until(() => rig.facts.events('delivered') === 10);
  expect(target.received.map(({ body }) => idsOf(body).length)).toEqual([10, 5, 5]);
  expect(rig.facts.reasons('retry')).toEqual(['bad_reply']);
});

test('C54 a function that takes so many calls a second gets every event, though 429 ends most attempts', async () => {
  let budget = 20;
  const refill = setInterval(() => {
    budget = 20;
  }, 100);
  let refused = 0;
  const target = await rig.function((_, response) => {
    if (budget-- > 0) response.end();
    else {
      refused++;
      response.writeHead(429).end();
    }
  });
  const other = await rig.function();
  await rig.append(numbered(400));
  const few = { retry: { attempts: 1, min: 1, max: 5 }, concurrency: 8 };
  await rig.start([
    subscription(target, { name: 'limited', ...few }),
    subscription(other, { name: 'other', ...few }),
  ]);
  await rig.facts.until(() => rig.facts.events('delivered', 'limited') === 400);
  clearInterval(refill);
  expect(refused).toBeGreaterThan(0);
  expect(rig.facts.events('dead_letter')).toBe(0);
  expect(other.ids).toHaveLength(400);
});
