import { createServer } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RecordSink } from '../../src/ports/event-log.ts';
import { Changes, changedLog, numbered, Rig, subscription } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(() => rig.close());

/** With one attempt more, everything would be in the dead-letter topic long before the function is up. */
const FEW = { retry: { attempts: 2, min: 1, max: 5 } };
const FULL = { events: 100, wait: 10, size: 1_000_000 };
const isOpen = () => rig.facts.breakers.at(-1)?.open === true;

test.each([503, 429, 404])(
  'a function that answers %i for a while gets every event afterwards',
  async (code) => {
    let probes = 0;
    let failed = 0;
    const target = await rig.function((_, response) => {
      if (isOpen()) probes++;
      const isUp = probes >= 2;
      if (!isUp) failed++;
      response.writeHead(isUp ? 200 : code).end();
    });
    await rig.append(numbered(300));
    const dispatcher = await rig.start([subscription(target, FEW)]);
    await rig.facts.until(isOpen);
    expect(dispatcher.open()).toEqual([{ subscription: 'mail', value: 1 }]);
    expect(dispatcher.problem()).toBeNull();
    expect(dispatcher.lag()[0]).toMatchObject({ value: 300 });
    await rig.facts.until(() => rig.facts.events('delivered') === 300);
    expect(dispatcher.open()).toEqual([{ subscription: 'mail', value: 0 }]);
    expect(new Set(target.ids)).toEqual(new Set(numbered(300)));
    expect(rig.facts.events('dead_letter')).toBe(0);
    // Five that opened it, three that were on their way then, and a probe.
    expect(failed).toBeLessThanOrEqual(9);
    expect(rig.facts.breakers.map(({ open }) => open)).toEqual([true, false]);
  },
);

test('first attempts keep the order of the log', async () => {
  let probes = 0;
  const target = await rig.function((_, response) => {
    if (isOpen()) probes++;
    response.writeHead(probes >= 2 ? 200 : 503).end();
  });
  await rig.append(numbered(50));
  // Not so few attempts that a slow start uses them up before five events have failed.
  await rig.start([subscription(target, { retry: { ...FEW.retry, attempts: 9 }, concurrency: 1 })]);
  await rig.facts.until(() => rig.facts.events('delivered') === 50);
  expect([...new Set(target.ids)]).toEqual(numbered(50));
});

test('a function that refuses connections is waited for, even with one event and one attempt', async () => {
  const gone = await rig.function();
  await gone.server.close();
  await rig.append(['e0']);
  await rig.start([subscription(gone, { retry: { attempts: 1, min: 1, max: 5 } })]);
  await rig.facts.until(isOpen);
  expect(rig.facts.breakers[0]).toMatchObject({ subscription: 'mail', reason: 'unreachable' });
  await rig.append(numbered(100, 1));
  const seen = new Set<string>();
  const back = createServer((request, response) => {
    seen.add(String(request.headers['ce-id']));
    response.end();
  });
  await new Promise<void>((resolve) => back.listen(gone.server.port, '127.0.0.1', resolve));
  await rig.facts.until(() => rig.facts.events('delivered') === 101);
  back.close();
  back.closeAllConnections();
  expect(seen).toEqual(new Set(numbered(101)));
  expect(rig.facts.events('dead_letter')).toBe(0);
});

test('a bad event among good ones is given up, and stops nothing', async () => {
  const target = await rig.function(({ id }, response) => response.writeHead(id === 'e7' ? 500 : 200).end());
  await rig.append(numbered(200));
  await rig.start([subscription(target)]);
  await rig.facts.until(() => rig.facts.events('delivered') === 199 && rig.facts.events('dead_letter') === 1);
  expect(rig.facts.breakers).toEqual([]);
  expect(target.ids.filter((id) => id === 'e7')).toHaveLength(3);
});

test('five bad events in a row are given up in the end, as the others show that the function is up', async () => {
  const bad = numbered(5);
  const target = await rig.function(({ id }, response) =>
    response.writeHead(bad.includes(id) ? 500 : 200).end(),
  );
  await rig.append(numbered(40));
  await rig.start([subscription(target, { ...FEW, concurrency: 1 })]);
  await rig.facts.until(() => rig.facts.events('delivered') === 35 && rig.facts.events('dead_letter') === 5);
  const letters = await rig.read('mail.dead', 5);
  expect(new Set(letters.map(({ key }) => Buffer.from(key!).toString()))).toEqual(new Set(bad));
});

test.each(['answers 503', 'refuses connections'])(
  'C54 the backlog stays in the log while a function %s, and other subscriptions go on',
  async (how) => {
    const isRefusing = how === 'refuses connections';
    const count = isRefusing ? 3_000 : 6_000;
    const fine = await rig.function();
    let isDown = true;
    const down = await rig.function((_, response) => response.writeHead(isDown ? 503 : 200).end());
    if (isRefusing) await down.server.close();
    const changes = new Changes();
    let read = 0;
    let isPaused = false;
    const log = changedLog(rig.log, {
      consume: (options, sink) =>
        rig.log.consume(options, {
          assigned: (partitions) => sink.assigned(partitions),
          records(partition, records, end) {
            if (options.group === 'postern.down') read += records.length;
            sink.records(partition, records, end);
          },
          revoked: () => sink.revoked(),
          failed: (error) => sink.failed(error),
        }),
      consumption: (real) => ({
        commit: (positions) => real.commit(positions),
        pause(partitions) {
          isPaused = true;
          real.pause(partitions);
          changes.changed();
        },
        resume(partitions) {
          isPaused = false;
          real.resume(partitions);
        },
        stop: () => real.stop(),
      }),
    });
    await rig.append(numbered(20));
    await rig.start([subscription(down, { name: 'down', ...FEW })], log);
    await rig.start([subscription(fine, { name: 'fine', mode: 'batch', batch: FULL })]);
    await rig.facts.until(isOpen);
    if (isRefusing) await changes.until(() => isPaused);
    await rig.append(numbered(count, 20));
    await changes.until(() => isPaused);
    await rig.facts.until(() => rig.facts.events('delivered', 'fine') === count + 20);
    // At most the one fetch that was on its way, beside those among which it looks for one that is taken.
    expect(read).toBeLessThanOrEqual((isRefusing ? 20 : 5_000) + 500);
    isDown = false;
    const back = new Set<string>();
    const again = createServer((request, response) => {
      back.add(String(request.headers['ce-id']));
      response.end();
    });
    if (isRefusing)
      await new Promise<void>((resolve) => again.listen(down.server.port, '127.0.0.1', resolve));
    await rig.facts.until(() => rig.facts.events('delivered', 'down') === count + 20);
    again.close();
    again.closeAllConnections();
    expect(isRefusing ? back.size : new Set(down.ids).size).toBe(count + 20);
    expect(rig.facts.events('dead_letter')).toBe(0);
    expect(isPaused).toBe(false);
  },
);

test('a reader that fails while a probe is on its way neither forgets nor blocks the breaker', async () => {
  let sink: RecordSink | undefined;
  const log = changedLog(rig.log, {
    consume(options, real) {
      sink = real;
      return rig.log.consume(options, real);
    },
  });
  let probes = 0;
  const target = await rig.function((_, response) => {
    if (isOpen() && ++probes === 1) return sink!.failed(new Error('reading failed'));
    response.writeHead(probes === 0 ? 503 : 200).end();
  });
  await rig.append(numbered(30));
  // Nothing but the probe is on its way.
  await rig.start([subscription(target, { ...FEW, concurrency: 1 })], log);
  await rig.facts.until(() => rig.facts.events('delivered') === 30);
  expect(rig.facts.events('dead_letter')).toBe(0);
  expect(rig.facts.breakers.map(({ open }) => open)).toEqual([true, false]);
});
