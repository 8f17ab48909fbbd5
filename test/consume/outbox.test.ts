import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DeadLetter, storeDeadLetter } from '../../src/consume/dead-letter.ts';
import { Outbox } from '../../src/consume/outbox.ts';
import type { AppendVerdict, LogRecord } from '../../src/ports/event-log.ts';
import { headersOf, stored } from '../dispatcher/records.ts';
import { Changes, changedLog, eventRecord, Rig } from '../dispatcher/rig.ts';

let rig: Rig;
const made: Outbox[] = [];
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(async () => {
  for (const outbox of made.splice(0)) outbox.drop();
  await rig.close();
});

/** An outbox on the real log, but `judge` decides about some records itself. */
function outboxOf(judge: (record: LogRecord) => AppendVerdict | null | Promise<AppendVerdict | null>) {
  const changes = new Changes();
  const appends: string[][] = [];
  const tried: [AppendVerdict, number][] = [];
  const log = changedLog(rig.log, {
    async append(records) {
      appends.push(records.map(({ key }) => String(key)));
      changes.changed();
      const verdicts = await Promise.all(records.map(judge));
      const good = await rig.log.append(records.filter((_, i) => verdicts[i] === null));
      return verdicts.map((verdict) => verdict ?? good.shift()!);
    },
  });
  const outbox = new Outbox({
    log,
    random: () => 0.999,
    tried(verdict, records) {
      tried.push([verdict, records]);
      changes.changed();
    },
  });
  made.push(outbox);
  return { outbox, appends, tried, changes };
}

const record = (id: string) => eventRecord(id, '{}');
const keys = async (topic: string, count: number) =>
  (await rig.read(topic, count)).map(({ key }) => Buffer.from(key!).toString());

describe('an outbox', () => {
  test('stores each record once, however often its append fails, and says why it waits', async () => {
    const failed = new Map<string, number>();
    const { outbox, tried, changes } = outboxOf(({ key }) => {
      const count = failed.get(String(key)) ?? 0;
      failed.set(String(key), count + 1);
      return count < 3 ? 'failed' : null;
    });
    const written = Promise.all(['a', 'b', 'c'].map((id) => outbox.append(record(id))));
    await changes.until(() => outbox.problem !== null);
    expect(outbox.problem).toBe('records cannot be stored in orders');
    let isIdle = false;
    const idle = outbox.idle().then(() => {
      isIdle = true;
    });
    await new Promise(setImmediate);
    expect(isIdle).toBe(false);
    expect(await written).toEqual(['stored', 'stored', 'stored']);
    expect((await keys('orders', 3)).sort()).toEqual(['a', 'b', 'c']);
    await idle;
    expect(outbox.problem).toBeNull();
    expect(tried.filter(([verdict]) => verdict === 'stored').reduce((sum, [, n]) => sum + n, 0)).toBe(3);
  });

  test('keeps no record back for one that cannot be stored', async () => {
    let isDown = true;
    const { outbox } = outboxOf(({ key }) => (isDown && key === 'bad' ? 'failed' : null));
    const bad = outbox.append(record('bad'));
    for (const id of ['a', 'b', 'c']) expect(await outbox.append(record(id))).toBe('stored');
    isDown = false;
    expect(await bad).toBe('stored');
  });

  test('appends records that were given together with one call, in order', async () => {
    const { outbox, appends } = outboxOf(() => null);
    const ids = Array.from({ length: 500 }, (_, i) => String(i));
    const first = outbox.append(record('first'));
    const outcomes = outbox.appendAll(ids.map(record));
    const last = outbox.append(record('last'));
    expect(new Set(await outcomes)).toEqual(new Set(['stored']));
    expect([await first, await last]).toEqual(['stored', 'stored']);
    expect(appends).toEqual([['first'], ids, ['last']]);
    expect(await outbox.appendAll([])).toEqual([]);
  });

  test('that is closed gives up what waits for its next try; the rest has one try', async () => {
    const gate = Promise.withResolvers<void>();
    let isDown = true;
    const { outbox, changes, appends } = outboxOf(async ({ key }) => {
      if (key === 'slow') await gate.promise;
      return isDown ? 'failed' : null;
    });
    const late = outbox.append(record('late'));
    await changes.until(() => outbox.problem !== null);
    const slow = outbox.append(record('slow'));
    await changes.until(() => appends.length === 2);
    const queued = outbox.append(record('queued'));
    outbox.close();
    expect(await late).toBe('dropped');
    isDown = false;
    gate.resolve();
    expect(await Promise.all([slow, queued])).toEqual(['stored', 'stored']);
    isDown = true;
    expect(await outbox.append(record('after'))).toBe('dropped');
    expect(appends.length).toBe(4);
  });

  test('that is dropped lets only the append on its way end', async () => {
    const gate = Promise.withResolvers<void>();
    const { outbox, appends } = outboxOf(async () => {
      await gate.promise;
      return null;
    });
    const going = outbox.append(record('going'));
    const queued = outbox.append(record('queued'));
    outbox.drop();
    expect(await queued).toBe('dropped');
    expect(await outbox.append(record('after'))).toBe('dropped');
    gate.resolve();
    expect(await going).toBe('stored');
    expect(appends).toEqual([['going']]);
  });
});

describe('a dead letter', () => {
  const letter = (detail: string, changes: Partial<DeadLetter> = {}): DeadLetter => ({
    topic: 'mail.dead',
    record: stored('{"n":1}', {}, { key: Buffer.from('k') }),
    origin: { name: 'mail', step: null },
    reason: 'refused',
    status: 400,
    attempts: 2,
    firstTime: 0,
    lastTime: 1_000,
    detail,
    ...changes,
  });

  test('has the first 1 KiB of the error, cut between characters', async () => {
    const { outbox } = outboxOf(() => null);
    const details = [
      `${'x'.repeat(1022)}ü${'y'.repeat(100)}`,
      `${'x'.repeat(1023)}ü`,
      '€'.repeat(600),
      '🛰'.repeat(400),
    ];
    for (const detail of details) expect(await storeDeadLetter(outbox, letter(detail))).toBe('stored');
    const errors = (await rig.read('mail.dead', 4)).map((one) => headersOf(one).postern_error!);
    expect(errors.map((error) => Buffer.byteLength(error))).toEqual([1024, 1023, 1023, 1024]);
    expect(errors.every((error) => error.isWellFormed())).toBe(true);
  });

  test('names the step of a workflow, and no step for a subscription', async () => {
    const { outbox } = outboxOf(() => null);
    await storeDeadLetter(outbox, letter('', { origin: { name: 'order', step: 'pay' }, status: null }));
    await storeDeadLetter(outbox, letter(''));
    const [workflow, subscription] = (await rig.read('mail.dead', 2)).map(headersOf);
    expect(workflow).toMatchObject({
      postern_subscription: 'order',
      postern_step: 'pay',
      postern_status: '',
      ce_id: 'id-1',
    });
    expect(subscription).toMatchObject({ postern_status: '400', postern_attempts: '2' });
    expect(subscription!.postern_step).toBeUndefined();
  });

  test('loses its value, then all but our headers, and is tried until the topic takes that', async () => {
    let isSmall = true;
    const { outbox, tried } = outboxOf(({ value, headers }) =>
      value !== null || headers.ce_id !== undefined || isSmall ? 'too_large' : null,
    );
    const lineage = Buffer.from('mail.dead/0/3@2024-01-01T00:00:00.000Z');
    const record = stored('{}', {}, { key: Buffer.from('k') });
    const written = storeDeadLetter(
      outbox,
      letter('no', { record: { ...record, headers: { ...record.headers, postern_lineage: lineage } } }),
    );
    await expect.poll(() => tried.map(([verdict]) => verdict)).toContain('failed');
    isSmall = false;
    expect(await written).toBe('stored');
    const [found] = await rig.read('mail.dead', 1);
    expect(found).toMatchObject({ key: null, value: null });
    expect(headersOf(found!)).toMatchObject({
      postern_truncated: 'value, key and headers',
      postern_lineage: lineage.toString(),
      postern_error: 'no',
    });
    expect(headersOf(found!).ce_id).toBeUndefined();
  });
});
