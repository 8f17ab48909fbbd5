import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SubscriptionConfig } from '../../src/config/subscription/types.ts';
import { compileLetterFilter } from '../../src/dispatcher/letters.ts';
import { type RedriveOptions, redrive } from '../../src/dispatcher/redrive.ts';
import type { EventLog, LogRecord, StoredRecord } from '../../src/ports/event-log.ts';
import type { LogReader } from '../../src/ports/log-reader.ts';
import { changedLog, eventRecord, numbered, Rig, subscription, type TestFunction } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(() => rig.close());

const headersOf = ({ headers }: StoredRecord): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, Buffer.from(bytes).toString()]));

const mail = (target: TestFunction, changes: Partial<SubscriptionConfig> = {}) =>
  subscription(target, { redrive: 'mail.redrive', retry: { attempts: 1, min: 1, max: 1 }, ...changes });

const run = (config: SubscriptionConfig, changes: Partial<RedriveOptions> = {}) =>
  redrive({
    subscription: config,
    reader: rig.log as EventLog & LogReader,
    log: rig.log,
    wanted: null,
    from: null,
    to: null,
    limit: null,
    rate: null,
    dryRun: false,
    clock: () => 0,
    pause: async () => {},
    ...changes,
  });

/** A function that refuses all until it is told to take them. */
async function fickle() {
  const state = { refuses: true };
  const target = await rig.function((_, response) => response.writeHead(state.refuses ? 400 : 200).end());
  return { target, state };
}

describe('redrive', () => {
  test('delivers each dead letter as the event that it was, once, however often it is run', async () => {
    const { target, state } = await fickle();
    const foreign: LogRecord = { topic: 'orders', key: null, value: Buffer.from('x'), headers: {} };
    await rig.log.append([...numbered(3).map((id) => eventRecord(id, `{"id":"${id}"}`)), foreign]);
    const config = mail(target);
    const dispatcher = await rig.start([config]);
    await rig.read('mail.dead', 4);
    state.refuses = false;
    const received = () =>
      target.received.map(({ request, body }): Record<string, unknown> => ({ ...request.headers, body }));
    const sent = received();
    expect(await run(config)).toMatchObject({ sent: 4, already: 0, cut: 0, failed: 0 });
    expect(await run(config)).toMatchObject({ sent: 0, already: 4 });
    await rig.facts.until(() => rig.facts.events('delivered') === 4);
    expect(await run(config)).toMatchObject({ sent: 0, already: 4 });
    // The one without an id of its own too: ids, times and idempotency keys are those of the first time.
    const again = received().slice(4);
    const byId = (a: Record<string, unknown>, b: Record<string, unknown>) =>
      String(a['ce-id']).localeCompare(String(b['ce-id']));
    expect(again.sort(byId)).toEqual(sent.sort(byId));
    expect(again.map((one) => one['ce-id'])).toContain('orders-0-3');
    await dispatcher.stop(1_000);
    await rig.reopen();
    await rig.start([config]);
    await rig.append(['last']);
    await rig.facts.until(() => rig.facts.events('delivered') === 5);
    expect(target.ids.slice(8)).toEqual(['last']);
  });

  test('what fails again is a dead letter again, with its lineage, and may be sent once more', async () => {
    const { target, state } = await fickle();
    await rig.append(['e0']);
    const config = mail(target);
    await rig.start([config]);
    const [first] = await rig.read('mail.dead', 1);
    expect(await run(config)).toMatchObject({ sent: 1 });
    const [, second] = await rig.read('mail.dead', 2);
    const time = new Date(first!.timestamp).toISOString();
    expect(headersOf(second!)).toMatchObject({
      postern_topic: 'orders',
      postern_partition: '0',
      postern_offset: '0',
      postern_timestamp: headersOf(first!).postern_timestamp,
      postern_lineage: `mail.dead/0/0@${time}`,
    });
    expect(headersOf(second!)).not.toHaveProperty('postern_group');
    expect({ key: second!.key, value: second!.value }).toEqual({ key: first!.key, value: first!.value });
    state.refuses = false;
    expect(await run(config)).toMatchObject({ sent: 1, already: 1 });
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    const [, record] = await rig.read('mail.redrive', 2);
    expect(
      headersOf(record!)
        .postern_lineage!.split(' ')
        .map((name) => name.split('@')[0]),
    ).toEqual(['mail.dead/0/0', 'mail.dead/0/1']);
  });

  test('passes the filter by, but no other subscription gets it', async () => {
    const { target, state } = await fickle();
    const other = await rig.function();
    await rig.append(['e0']);
    const config = mail(target);
    const first = await rig.start([config]);
    await rig.read('mail.dead', 1);
    await first.stop(1_000);
    state.refuses = false;
    await run(config);
    const changed = mail(target, { filter: 'event.type == "none"' });
    // Another group with the same topic, as another Postern on the same Kafka may have.
    const neighbour = subscription(other, {
      name: 'neighbour',
      topics: ['else'],
      redrive: 'mail.redrive',
    });
    const dispatcher = await rig.start([changed, neighbour]);
    await rig.facts.until(() => rig.facts.events('delivered', 'mail') === 1);
    await rig.facts.until(() => rig.facts.events('filtered', 'neighbour') === 1);
    await dispatcher.stop(1_000);
    expect(other.ids).toEqual([]);
    expect(dispatcher.lag()).toEqual([]);
  });

  test('is read from the beginning also by a group that begins at the newest event', async () => {
    const { target, state } = await fickle();
    await rig.append(['e0']);
    const first = await rig.start([mail(target, { redrive: null })]);
    await rig.read('mail.dead', 1);
    await first.stop(1_000);
    state.refuses = false;
    const config = mail(target, { from: 'latest' });
    await run(config);
    await rig.start([config]);
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    expect(target.ids.at(-1)).toBe('e0');
  });

  test('counts only with dryRun', async () => {
    const { target } = await fickle();
    await rig.append(numbered(3));
    const config = mail(target);
    await rig.start([config]);
    await rig.read('mail.dead', 3);
    expect(await run(config, { dryRun: true, limit: 2 })).toMatchObject({ sent: 2 });
    expect(await run(config)).toMatchObject({ sent: 3, already: 0 });
  });

  test('takes a filter over event and letter, times and a limit', async () => {
    const target = await rig.function(({ id }, response) =>
      response.writeHead(id === 'e1' ? 500 : 400).end(),
    );
    await rig.append(numbered(4));
    const config = mail(target);
    await rig.start([config]);
    const letters = await rig.read('mail.dead', 4);
    const count = async (text: string) =>
      (await run(config, { dryRun: true, wanted: compileLetterFilter(text) })).sent;
    expect(await count('letter.status == 500')).toBe(1);
    expect(await count('letter.reason == "refused" && letter.attempts >= 1')).toBe(3);
    expect(await count('event.id == "e2" || event.data.id == "e3"')).toBe(2);
    expect(await count('letter.redrives > 0')).toBe(0);
    expect(await count('letter.topic == "orders" && letter.partition == 0 && letter.offset < 2')).toBe(2);
    expect(await count('letter.error.startsWith("HTTP 4")')).toBe(3);
    expect(await count('letter.last_time > "2020-01-01" && letter.nothing == 1')).toBe(0);
    expect(() => compileLetterFilter('letter.status ==')).toThrow();
    const last = letters.at(-1)!.timestamp;
    expect(await run(config, { dryRun: true, from: last + 1 })).toMatchObject({ sent: 0 });
    expect(await run(config, { dryRun: true, to: last + 1 })).toMatchObject({ sent: 4 });
    expect(await run(config, { limit: 1 })).toMatchObject({ sent: 1 });
    expect(await run(config, { limit: 2 })).toMatchObject({ sent: 2, already: 1 });
  });

  test('keeps to a rate', async () => {
    const { target } = await fickle();
    await rig.append(numbered(20));
    const config = mail(target);
    await rig.start([config]);
    await rig.read('mail.dead', 20);
    let now = 0;
    const steps: [number, number][] = [];
    let appended = 0;
    const log = changedLog(rig.log, {
      append(records) {
        appended += records.length;
        steps.push([now, appended]);
        return rig.log.append(records);
      },
    });
    const pause = async (ms: number) => {
      now += ms;
    };
    expect(await run(config, { log, rate: 8, clock: () => now, pause })).toMatchObject({ sent: 20 });
    // What was sent before each step fits the time that had passed.
    for (const [time, sum] of steps) expect(sum - 2).toBeLessThanOrEqual((time / 1000) * 8);
    expect(now).toBe(2_250);
  });

  test('stops when the log takes no more, and the next one goes on', async () => {
    const { target, state } = await fickle();
    await rig.append(numbered(700));
    const config = mail(target, { concurrency: 16 });
    await rig.start([config]);
    await rig.read('mail.dead', 700);
    state.refuses = false;
    let appends = 0;
    const log = changedLog(rig.log, {
      // The second is stored, but its acknowledgement is lost.
      async append(records) {
        const verdicts = await rig.log.append(records);
        return ++appends === 2 ? verdicts.map(() => 'failed' as const) : verdicts;
      },
    });
    expect(await run(config, { log })).toMatchObject({ sent: 500, failed: 200 });
    expect(await run(config)).toMatchObject({ sent: 0, already: 700 });
    await rig.facts.until(() => rig.facts.events('delivered') === 700);
    expect(new Set(target.ids.slice(700)).size).toBe(700);
  });

  test('leaves alone what is not whole, not a dead letter, or of another subscription', async () => {
    const target = await rig.function((_, response) => response.writeHead(413).end());
    const big = { ...eventRecord('big', ''), value: Buffer.alloc(16 * 1024 * 1024 - 300, 0x20) };
    const large = { ...eventRecord('large', ''), value: Buffer.alloc(16 * 1024 * 1024 - 440, 0x20) };
    const marked = eventRecord('marked', '{}');
    // As the gateway marks what it refused: part of the record as it was.
    marked.headers.postern_truncated = '1234';
    expect(await rig.log.append([big, large, marked])).toEqual(['stored', 'stored', 'stored']);
    const config = mail(target);
    await rig.start([
      config,
      mail(target, { name: 'post', group: 'post', deadLetter: 'mail.dead', redrive: 'post.redrive' }),
    ]);
    const letters = await rig.read('mail.dead', 6);
    expect(letters.filter(({ value }) => value === null).length).toBe(4);
    await rig.log.append([{ topic: 'mail.dead', key: null, value: Buffer.from('?'), headers: {} }]);
    const real = rig.log as EventLog & LogReader;
    const without: LogReader = {
      ranges: async (topic, time) => (topic === 'orders' ? [] : real.ranges(topic, time)),
      read: (ranges, sink) => real.read(ranges, sink),
    };
    expect(await run(config, { reader: without, dryRun: true })).toMatchObject({ sent: 1, cut: 2 });
    const result = await run(config);
    // The payload that did not fit beside the reasons is taken from where it was; the other one is too large even so.
    expect(result).toMatchObject({ sent: 2, cut: 0, tooLarge: 1, foreign: 1 });
    expect([...result.others]).toEqual([['post', 3]]);
    const records = await rig.read('mail.redrive', 2);
    const byId = (id: string) => records.find((record) => headersOf(record).ce_id === id)!;
    expect(headersOf(byId('marked'))).toMatchObject({ postern_truncated: '1234', postern_offset: '2' });
    expect(headersOf(byId('marked'))).not.toHaveProperty('postern_reason');
    expect(byId('large').value!.length).toBe(large.value.length);
    expect(headersOf(byId('large'))).not.toHaveProperty('postern_truncated');
  });

  test('a letter of a topic that was made anew is not taken for the one that was at its place', async () => {
    const { target } = await fickle();
    await rig.append(['e0']);
    const config = mail(target);
    await rig.start([config]);
    await rig.read('mail.dead', 1);
    expect(await run(config)).toMatchObject({ sent: 1 });
    const real = rig.log as EventLog & LogReader;
    const younger: LogReader = {
      ranges: (topic, time) => real.ranges(topic, time),
      read: (ranges, sink) =>
        real.read(ranges, (records) =>
          sink(
            records.map((one) =>
              one.topic === 'mail.dead' ? { ...one, timestamp: one.timestamp + 1 } : one,
            ),
          ),
        ),
    };
    expect((await run(config, { reader: younger, dryRun: true })).already).toBe(0);
  });
});
