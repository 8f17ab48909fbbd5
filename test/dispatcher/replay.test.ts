import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ReplayOptions, replay } from '../../src/dispatcher/replay.ts';
import type { EventLog } from '../../src/ports/event-log.ts';
import type { LogReader } from '../../src/ports/log-reader.ts';
import { nextMillisecond } from '../contracts/next-millisecond.ts';
import { numbered, Rig, subscription } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(() => rig.close());

const run = (config: ReplayOptions['subscription'], from: number, changes: Partial<ReplayOptions> = {}) => {
  const log = rig.log as EventLog & LogReader;
  return replay({
    subscription: config,
    log,
    reader: log,
    report: rig.facts,
    from,
    to: null,
    rate: null,
    grace: 5_000,
    signal: new AbortController().signal,
    ...changes,
  });
};

/** A time after everything that is stored already, and before everything that is stored next. */
async function between(): Promise<number> {
  const time = await nextMillisecond();
  await nextMillisecond();
  return time;
}

test('calls the function with the events of a time again, and with no others', async () => {
  const target = await rig.function();
  await rig.append(numbered(5));
  const from = await between();
  await rig.append(numbered(20, 5));
  const to = await between();
  await rig.append(numbered(5, 25));
  await rig.start([subscription(target)]);
  await rig.facts.until(() => rig.facts.events('delivered') === 30);
  // What is remembered as delivered is called for all the same, and what is redriven is left to the others.
  const result = await run(subscription(target, { dedupe: 60_000, redrive: 'mail.redrive' }), from, { to });
  expect(result).toEqual({
    events: { delivered: 20, filtered: 0, retry: 0, dead_letter: 0 },
    finished: true,
  });
  expect(target.ids.slice(30).sort()).toEqual(numbered(20, 5).sort());
});

test('a replay that was done does nothing more; with a later end it goes on', async () => {
  const target = await rig.function();
  const from = await between();
  await rig.append(numbered(10));
  const to = await between();
  await rig.append(numbered(10, 10));
  const config = subscription(target);
  expect((await run(config, from, { to })).events.delivered).toBe(10);
  expect(await run(config, from, { to })).toMatchObject({ events: { delivered: 0 }, finished: true });
  expect((await run(config, from)).events.delivered).toBe(10);
  expect(await run(config, from)).toMatchObject({ events: { delivered: 0 }, finished: true });
  expect(target.ids.sort()).toEqual(numbered(20).sort());
  expect((await run(config, from - 1)).events.delivered).toBe(20);
});

test('ends where the topics ended when it began, though more comes', async () => {
  const target = await rig.function(async (_, response) => {
    await rig.append([`more-${target.ids.length}`]);
    response.end();
  });
  await rig.append(numbered(10));
  expect(await run(subscription(target), 0)).toMatchObject({ events: { delivered: 10 }, finished: true });
  expect(target.ids.sort()).toEqual(numbered(10).sort());
});

test('filter, retries and dead letters are as always', async () => {
  const target = await rig.function(({ id }, response) =>
    response
      .writeHead(
        id === 'e1' ? 400 : id === 'e2' && target.ids.filter((one) => one === id).length < 2 ? 503 : 200,
      )
      .end(),
  );
  await rig.append(numbered(6));
  const config = subscription(target, { filter: 'event.id != "e5"' });
  expect(await run(config, 0)).toEqual({
    events: { delivered: 4, filtered: 1, retry: 1, dead_letter: 1 },
    finished: true,
  });
  const [letter] = await rig.read('mail.dead', 1);
  expect(Buffer.from(letter!.key!).toString()).toBe('e1');
});

test('ends at once when there is nothing of that time, and says when there is no topic', async () => {
  const target = await rig.function();
  await rig.append(['e0']);
  const config = subscription(target);
  expect(await run(config, Date.now() + 60_000)).toMatchObject({ events: { delivered: 0 }, finished: true });
  await expect(run({ ...config, topics: ['none'] }, 0)).rejects.toThrow('there is no topic none');
});

test('stopped half-way, the same replay goes on and repeats nothing', async () => {
  const target = await rig.function();
  await rig.append(numbered(40));
  const config = subscription(target, { concurrency: 1 });
  const stop = new AbortController();
  const first = run(config, 0, { signal: stop.signal });
  await target.until(() => target.ids.length >= 10);
  stop.abort();
  expect(await first).toMatchObject({ finished: false });
  const before = target.ids.length;
  expect(before).toBeLessThan(40);
  expect(await run(config, 0)).toMatchObject({ events: { delivered: 40 - before }, finished: true });
  expect(target.ids.sort()).toEqual(numbered(40).sort());
});
