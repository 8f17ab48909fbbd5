import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RecordSink } from '../../src/ports/event-log.ts';
import { Changes, changedLog, numbered, Rig, subscription } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(() => rig.close());

const sorted = (ids: string[]) => [...ids].sort();

describe('delivery', () => {
  test('calls the function once for each event that matches, and counts the others', async () => {
    const target = await rig.function();
    const ids = numbered(1200);
    await rig.append(ids, (id) => `{"n":${id.slice(1)}}`);
    const dispatcher = await rig.start([subscription(target, { filter: 'event.data.n % 3 == 0' })]);
    await rig.facts.until(() => rig.facts.events('delivered') === 400);
    await dispatcher.stop(5_000);
    expect(sorted(target.ids)).toEqual(sorted(ids.filter((id) => Number(id.slice(1)) % 3 === 0)));
    expect(rig.facts.events('filtered')).toBe(800);
    expect(rig.facts.all.filter(({ outcome }) => outcome === 'filtered').length).toBeLessThan(10);
    expect(rig.facts.all.find(({ outcome }) => outcome === 'delivered')).toMatchObject({
      subscription: 'mail',
      events: 1,
      status: 200,
      reason: null,
    });
  });

  test('counts events on which the filter fails apart', async () => {
    const target = await rig.function();
    await rig.append(['e1', 'e2', 'e3'], (id) => (id === 'e2' ? '{"n":1}' : '{}'));
    await rig.start([subscription(target, { filter: 'event.data.n > 0' })]);
    await rig.facts.until(() => rig.facts.events('delivered') === 1 && rig.facts.events('filtered') === 2);
    expect(rig.facts.reasons('filtered')).toEqual(['filter_error']);
  });

  test('C49 has no lag after a drained stop, and delivers nothing again on a clean restart', async () => {
    const target = await rig.function();
    await rig.append(numbered(300));
    const first = await rig.start([subscription(target)]);
    await rig.facts.until(() => rig.facts.events('delivered') === 300);
    expect(first.lag()).toEqual([{ subscription: 'mail', topic: 'orders', partition: 0, value: 0 }]);
    expect(first.oldest()).toEqual([]);
    expect(first.inflight()).toEqual([{ subscription: 'mail', value: 0 }]);
    expect(first.problem()).toBeNull();
    await first.stop(5_000);
    await rig.reopen();
    await rig.start([subscription(target)]);
    await rig.append(['last']);
    await target.until(() => target.ids.includes('last'));
    expect(target.ids.length).toBe(301);
  });

  test('C49 the first event of a new group fails: the next process delivers it again', async () => {
    let isBroken = true;
    const target = await rig.function(({ id }, response) => {
      response.statusCode = isBroken && id === 'e0' ? 503 : 200;
      response.end();
    });
    await rig.append(numbered(20));
    const patient = { retry: { attempts: 9, min: 60_000, max: 60_000 } };
    const first = await rig.start([subscription(target, patient)]);
    await rig.facts.until(() => rig.facts.events('delivered') === 19 && rig.facts.events('retry') === 1);
    expect(first.lag()[0]).toMatchObject({ value: 20 });
    expect(first.oldest()[0]!.value).toBeGreaterThanOrEqual(0);
    await first.stop(5_000);
    isBroken = false;
    await rig.reopen();
    await rig.start([subscription(target, patient)]);
    await rig.facts.until(() => rig.facts.events('delivered') === 39);
    expect(target.ids.filter((id) => id === 'e0').length).toBe(2);
  });

  test('a function that hangs, or is down, slows no other subscription', async () => {
    const fine = await rig.function();
    const hanging = await rig.function(() => {});
    const down = await rig.function();
    await down.server.close();
    const patient = { retry: { attempts: 99, min: 10, max: 20 } };
    await rig.start([
      subscription(hanging, { name: 'hanging' }),
      subscription(down, { name: 'down', ...patient }),
      subscription(fine, { name: 'fine' }),
    ]);
    await rig.append(numbered(500));
    await rig.facts.until(() => rig.facts.events('delivered', 'fine') === 500);
    expect(rig.facts.events('delivered', 'hanging')).toBe(0);
    expect(hanging.ids.length).toBeLessThanOrEqual(4);
  });

  test('makes no more calls at once than allowed, and an event that waits holds no place', async () => {
    let now = 0;
    let most = 0;
    const target = await rig.function(({ id }, response) => {
      most = Math.max(most, ++now);
      setImmediate(() => {
        now--;
        response.writeHead(id === 'e0' ? 500 : 200).end();
      });
    });
    await rig.append(numbered(100));
    await rig.start([
      subscription(target, { concurrency: 2, retry: { attempts: 9, min: 60_000, max: 60_000 } }),
    ]);
    await rig.facts.until(() => rig.facts.events('delivered') === 99);
    expect(most).toBeLessThanOrEqual(2);
  });

  test('C52 a connection that was closed meanwhile costs no attempt', async () => {
    const target = await rig.function((_, response) => {
      response.end();
      // Closes with no word of it beforehand, so that it may meet the next request.
      setImmediate(() => response.socket?.destroy());
    });
    await rig.append(numbered(200));
    await rig.start([subscription(target, { retry: { attempts: 1, min: 1, max: 2 }, concurrency: 1 })]);
    await rig.facts.until(() => rig.facts.events('delivered') + rig.facts.events('dead_letter') === 200);
    expect(new Set(target.ids).size).toBe(200);
    expect(rig.facts.events('dead_letter')).toBe(0);
    expect(rig.facts.reasons('retry').filter((reason) => reason !== 'stale_connection')).toEqual([]);
  });

  test('C55 a Retry-After beyond every timer is clamped to the cap', async () => {
    let calls = 0;
    const target = await rig.function((_, response) => {
      if (++calls === 1) response.writeHead(429, { 'retry-after': '9999999999' });
      response.end();
    });
    await rig.append(['e0']);
    await rig.start([subscription(target, { retry: { attempts: 3, min: 1, max: 50 } })]);
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    expect(rig.facts.reasons('retry')).toEqual(['throttled']);
  });
});

describe('batches', () => {
  test('gathers events up to a number, and sends the rest after its wait', async () => {
    const target = await rig.function();
    await rig.append(numbered(25));
    await rig.start([subscription(target, { mode: 'batch', concurrency: 1 })]);
    await rig.facts.until(() => rig.facts.events('delivered') === 25);
    const batches = target.received.map(({ body }) => JSON.parse(body) as { id: string; data: unknown }[]);
    expect(batches.map((batch) => batch.length)).toEqual([10, 10, 5]);
    expect(batches.flat().map(({ id }) => id)).toEqual(numbered(25));
    expect(batches[0]![3]).toMatchObject({ specversion: '1.0', data: { id: 'e3' } });
    expect(rig.facts.all.map(({ events }) => events)).toEqual([10, 10, 5]);
  });

  test('keeps a batch below its size, but for an event that is larger alone', async () => {
    const target = await rig.function();
    await rig.append(numbered(6), (id) => JSON.stringify('x'.repeat(id === 'e3' ? 5_000 : 700)));
    await rig.start([
      subscription(target, { mode: 'batch', concurrency: 1, batch: { events: 10, wait: 20, size: 2_000 } }),
    ]);
    await rig.facts.until(() => rig.facts.events('delivered') === 6);
    expect(target.received.map(({ body }) => JSON.parse(body).length)).toEqual([2, 1, 1, 2]);
  });

  test('C58 one event is one call unless batches are asked for', async () => {
    const target = await rig.function();
    await rig.append(numbered(5));
    await rig.start([subscription(target, { mode: 'structured' })]);
    await rig.facts.until(() => rig.facts.events('delivered') === 5);
    expect(target.received.every(({ body }) => typeof JSON.parse(body).id === 'string')).toBe(true);
  });
});

describe('back-pressure', () => {
  test('C54 holds a bounded number of events while the function does not take them', async () => {
    const held: ServerResponse[] = [];
    let isOpen = false;
    const target = await rig.function((_, response) => {
      if (isOpen) response.end();
      else held.push(response);
    });
    let read = 0;
    const changes = new Changes();
    const paused: boolean[] = [];
    const log = changedLog(rig.log, {
      consume: (options, sink) =>
        rig.log.consume(options, {
          assigned: (partitions) => sink.assigned(partitions),
          records(partition, records, end) {
            read += records.length;
            sink.records(partition, records, end);
          },
          revoked: () => sink.revoked(),
          failed: (error) => sink.failed(error),
        }),
      consumption: (real) => ({
        commit: (positions) => real.commit(positions),
        pause(partitions) {
          paused.push(true);
          real.pause(partitions);
          changes.changed();
        },
        resume(partitions) {
          paused.push(false);
          real.resume(partitions);
        },
        stop: () => real.stop(),
      }),
    });
    await rig.append(numbered(3000));
    await rig.start([subscription(target, { concurrency: 4 })], log);
    await changes.until(() => paused.length > 0);
    await target.until(() => held.length === 4);
    // One fetch beyond the limit of 100.
    expect(read).toBeLessThanOrEqual(600);
    isOpen = true;
    for (const response of held) response.end();
    await rig.facts.until(() => rig.facts.events('delivered') === 3000);
    expect(new Set(target.ids).size).toBe(3000);
    expect(target.ids.length).toBe(3000);
    expect(paused.at(-1)).toBe(false);
  });
});

describe('giving partitions up', () => {
  test('a stop waits for calls in flight and commits them', async () => {
    const held: ServerResponse[] = [];
    const target = await rig.function((_, response) => held.push(response));
    await rig.append(numbered(50));
    const first = await rig.start([subscription(target)]);
    await target.until(() => held.length === 4);
    const stopped = first.stop(10_000);
    for (const response of held) response.end();
    await stopped;
    expect(rig.facts.events('delivered')).toBe(4);
    const fine = await rig.function();
    await rig.reopen();
    await rig.start([subscription(fine)]);
    await rig.facts.until(() => rig.facts.events('delivered') === 50);
    expect(fine.ids.length).toBe(46);
  });

  test('a stop gives up on a call that does not end, and it is made again', async () => {
    const target = await rig.function(() => {});
    await rig.append(['e0']);
    const first = await rig.start([subscription(target)]);
    await target.until(() => target.ids.length === 1);
    await first.stop(100);
    expect(first.inflight()).toEqual([{ subscription: 'mail', value: 0 }]);
    const fine = await rig.function();
    await rig.reopen();
    await rig.start([subscription(fine)]);
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    expect(fine.ids).toEqual(['e0']);
  });

  test('C46 an answer that comes after the partition was lost does not count for its next time', async () => {
    const held: ServerResponse[] = [];
    const target = await rig.function((_, response) => held.push(response));
    let sink: RecordSink | undefined;
    const commits: number[] = [];
    const log = changedLog(rig.log, {
      consume(options, real) {
        sink = real;
        return rig.log.consume(options, real);
      },
      consumption: (real) => ({
        commit(positions) {
          commits.push(...positions.map(({ offset }) => offset));
          return real.commit(positions);
        },
        pause: (partitions) => real.pause(partitions),
        resume: (partitions) => real.resume(partitions),
        stop: () => real.stop(),
      }),
    });
    const [record] = await (async () => {
      await rig.append(['e0']);
      return rig.read('orders', 1);
    })();
    await rig.start([subscription(target, { timeout: 200, retry: { attempts: 99, min: 1, max: 2 } })], log);
    await target.until(() => held.length === 1);
    // As a rebalance does: lost, and ours again with nothing held from before.
    await sink!.revoked();
    expect(commits).toEqual([]);
    sink!.assigned([{ topic: 'orders', partition: 0, offset: 0 }]);
    sink!.records({ topic: 'orders', partition: 0 }, [record!], record!.offset + 1);
    const before = held.length;
    await target.until(() => held.length > before);
    for (const response of held.slice(0, before)) response.end();
    expect(rig.facts.events('delivered')).toBe(0);
    held.at(-1)!.end();
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
  });

  test('C47 reading that fails is begun again, and said until then', async () => {
    const target = await rig.function();
    let tries = 0;
    const log = changedLog(rig.log, {
      async consume(options, sink) {
        if (++tries === 1) throw new Error('no such group');
        return rig.log.consume(options, sink);
      },
    });
    await rig.append(['e0']);
    const dispatcher = await rig.start([subscription(target)], log);
    expect(dispatcher.problem()).toBe('subscription mail: no such group');
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    expect(dispatcher.problem()).toBeNull();
  });

  test('tries a failed commit again', async () => {
    const target = await rig.function();
    let commits = 0;
    const changes = new Changes();
    const log = changedLog(rig.log, {
      consumption: (real) => ({
        async commit(positions) {
          commits++;
          if (commits === 1) throw new Error('coordinator is away');
          await real.commit(positions);
          changes.changed();
        },
        pause: (partitions) => real.pause(partitions),
        resume: (partitions) => real.resume(partitions),
        stop: () => real.stop(),
      }),
    });
    await rig.append(['e0']);
    const dispatcher = await rig.start([subscription(target)], log);
    await changes.until(() => commits === 2);
    await dispatcher.stop(1_000);
    await rig.reopen();
    const again = await rig.function();
    await rig.start([subscription(again)]);
    await rig.append(['e1']);
    await again.until(() => again.ids.length === 1);
    expect(again.ids).toEqual(['e1']);
  });
});
