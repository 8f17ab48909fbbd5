import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sqliteDedupeStore } from '../../src/adapters/sqlite/dedupe-store.ts';
import type { SubscriptionConfig } from '../../src/config/subscription/types.ts';
import { Commits } from '../../src/consume/commits.ts';
import { type Delivery, deliveryOf } from '../../src/dispatcher/call.ts';
import { Remembered } from '../../src/dispatcher/remembered.ts';
import type { Dispatcher } from '../../src/dispatcher/subscriptions.ts';
import { type DedupeStore, StoreUnavailable } from '../../src/ports/dedupe-store.ts';
import type { EventLog, Position, StoredRecord } from '../../src/ports/event-log.ts';
import { foreign, stored } from './records.ts';
import { Changes, changedLog, eventRecord, numbered, Rig, subscription } from './rig.ts';

let rig: Rig;
let folder: string;
let store: DedupeStore;
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
  folder = await mkdtemp(join(tmpdir(), 'postern-remembered-'));
  store = sqliteDedupeStore({
    path: folder,
    window: 60_000,
    lease: 60_000,
    onError(error) {
      throw error;
    },
  });
});
afterEach(async () => {
  await rig.close();
  await store.close();
  await rm(folder, { recursive: true });
});

/** A log that forgets every position, as if each process died before it could commit. */
const forgetful = (log: EventLog) =>
  changedLog(log, { consumption: (real) => ({ ...bound(real), commit: async () => {} }) });

function bound(real: Awaited<ReturnType<EventLog['consume']>>) {
  return {
    commit: (positions: Position[]) => real.commit(positions),
    pause: real.pause.bind(real),
    resume: real.resume.bind(real),
    stop: () => real.stop(),
  };
}

const start = (config: SubscriptionConfig, log: EventLog = rig.log, using = store): Promise<Dispatcher> =>
  rig.start([{ ...config, dedupe: 60_000 }], log, { remember: () => using });
const refused = async () => {
  throw new StoreUnavailable('gone');
};

describe('deliveries that are remembered', () => {
  test('are not made again when the process died before it committed', async () => {
    const target = await rig.function();
    await rig.append(numbered(700));
    const first = await start(subscription(target), forgetful(rig.log));
    await rig.facts.until(() => rig.facts.events('delivered') === 700);
    await first.stop(5_000);
    await rig.reopen();
    await rig.append(['new']);
    const second = await start(subscription(target));
    await rig.facts.until(() => rig.facts.events('filtered') === 700 && target.ids.includes('new'));
    await second.stop(5_000);
    expect(target.ids.length).toBe(701);
    expect(new Set(rig.facts.reasons('filtered'))).toEqual(new Set(['delivered_before']));
    expect(rig.facts.unknown).toEqual([]);
    await rig.reopen();
    const third = await start(subscription(target));
    await rig.append(['last']);
    await target.until(() => target.ids.includes('last'));
    expect(rig.facts.events('filtered')).toBe(700);
    await third.stop(5_000);
  });

  test('are made in order', async () => {
    const target = await rig.function();
    await rig.append(numbered(1200));
    await start(subscription(target, { concurrency: 1 }));
    await rig.facts.until(() => rig.facts.events('delivered') === 1200);
    expect(target.ids).toEqual(numbered(1200));
  });

  test('keep the order of a key, also around those that were made before', async () => {
    const ids = numbered(60);
    const keyed = (id: string) => ({ ...eventRecord(id, '{}'), key: `k${Number(id.slice(1)) % 3}` });
    let isBroken = true;
    const done: string[] = [];
    const target = await rig.function(({ id }, response) => {
      const fails = isBroken && id === 'e30';
      if (!fails) done.push(id);
      response.writeHead(fails ? 503 : 200).end();
    });
    await rig.log.append(ids.map(keyed));
    const patient = { order: 'key', retry: { attempts: 9, min: 60_000, max: 60_000 } } as const;
    const first = await start(subscription(target, patient), forgetful(rig.log));
    // Of its key, 10 came before it; of the others all.
    await rig.facts.until(() => rig.facts.events('delivered') === 50);
    await first.stop(5_000);
    isBroken = false;
    await rig.reopen();
    await start(subscription(target, patient));
    await rig.facts.until(() => rig.facts.events('delivered') === 60);
    expect(rig.facts.events('filtered')).toBe(50);
    for (const key of [0, 1, 2]) {
      const ofKey = (id: string) => Number(id.slice(1)) % 3 === key;
      expect(done.filter(ofKey)).toEqual(ids.filter(ofKey));
    }
  });

  test('are noted before their offset is committed', async () => {
    const steps: string[] = [];
    const changes = new Changes();
    let answer: () => void = () => {};
    const slow: DedupeStore = {
      ...methods(store),
      async confirm(claims, owner) {
        steps.push('confirm');
        changes.changed();
        await new Promise<void>((resolve) => {
          answer = resolve;
        });
        steps.push('confirmed');
        await store.confirm(claims, owner);
      },
    };
    const log = changedLog(rig.log, {
      consumption: (real) => ({
        ...bound(real),
        async commit(positions) {
          steps.push(`commit ${positions[0]!.offset}`);
          changes.changed();
          await real.commit(positions);
        },
      }),
    });
    const target = await rig.function();
    await rig.append(['e1']);
    const dispatcher = await start(subscription(target), log, slow);
    await changes.until(() => steps.includes('confirm'));
    // Longer than it takes to commit what is finished.
    const other = await rig.function();
    await rig.start([subscription(other, { name: 'other' })]);
    await other.until(() => other.ids.length === 1);
    expect(dispatcher.lag()[0]!.value).toBe(1);
    expect(dispatcher.oldest()).toHaveLength(1);
    answer();
    await changes.until(() => steps.some((step) => step.startsWith('commit')));
    expect(steps).toEqual(['confirm', 'confirmed', 'commit 1']);
  });

  test('a stop waits for them to be noted, and then commits', async () => {
    const changes = new Changes();
    let answer: (() => void) | null = null;
    const slow: DedupeStore = {
      ...methods(store),
      async confirm(claims, owner) {
        await new Promise<void>((resolve) => {
          answer = resolve;
          changes.changed();
        });
        await store.confirm(claims, owner);
      },
    };
    const target = await rig.function();
    await rig.append(['e1']);
    const first = await start(subscription(target), rig.log, slow);
    await changes.until(() => answer !== null);
    const stopping = first.stop(5_000);
    answer!();
    await stopping;
    await rig.reopen();
    await rig.append(['e2']);
    await start(subscription(target));
    await target.until(() => target.ids.includes('e2'));
    // Neither read nor filtered again.
    expect(target.ids).toEqual(['e1', 'e2']);
    expect(rig.facts.events('filtered')).toBe(0);
  });

  test('what was refused is not one of them', async () => {
    let status = 400;
    const target = await rig.function((_, response) => {
      response.statusCode = status;
      response.end();
    });
    await rig.append(['e1']);
    const first = await start(subscription(target), forgetful(rig.log));
    await rig.read('mail.dead', 1);
    await first.stop(5_000);
    status = 200;
    await rig.reopen();
    await start(subscription(target));
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    expect(target.ids).toEqual(['e1', 'e1']);
  });

  test('each consumer group has its own', async () => {
    const target = await rig.function();
    await rig.append(numbered(3));
    await start(subscription(target));
    await target.until(() => target.ids.length === 3);
    await start(subscription(target, { name: 'again' }));
    await target.until(() => target.ids.length === 6);
    expect(target.ids.toSorted()).toEqual([...numbered(3), ...numbered(3)].toSorted());
  });

  test('a subscription without dedupe needs no store, and one with it does', async () => {
    const target = await rig.function();
    await expect(rig.start([subscription(target, { dedupe: 1_000 })])).rejects.toThrow(/mail.*no store/);
  });
});

describe('a store that does not answer', () => {
  test('holds no delivery and no commit up, and what is unknown is counted', async () => {
    const gone: DedupeStore = { ...methods(store), claim: refused, confirm: refused };
    const target = await rig.function();
    await rig.append(numbered(20));
    const first = await start(subscription(target), rig.log, gone);
    await rig.facts.until(() => rig.facts.events('delivered') === 20);
    await first.stop(5_000);
    const count = (wanted: string) =>
      rig.facts.unknown
        .filter(({ outcome }) => outcome === wanted)
        .reduce((sum, { events }) => sum + events, 0);
    expect(count('unchecked')).toBe(20);
    expect(count('not_remembered')).toBe(20);
    await rig.reopen();
    await rig.append(['last']);
    await start(subscription(target));
    await target.until(() => target.ids.includes('last'));
    expect(target.ids.length).toBe(21);
  });

  test('for some of the events: the others are known all the same', async () => {
    const target = await rig.function();
    await rig.append(numbered(4));
    const first = await start(subscription(target), forgetful(rig.log));
    await rig.facts.until(() => rig.facts.events('delivered') === 4);
    await first.stop(5_000);
    const partly: DedupeStore = {
      ...methods(store),
      async claim(claims, owner) {
        const outcomes = await store.claim(claims, owner);
        throw new StoreUnavailable(
          'half',
          {},
          outcomes.map((outcome, i) => (i % 2 === 0 ? outcome : null)),
        );
      },
    };
    await rig.reopen();
    const second = await start(subscription(target), rig.log, partly);
    await rig.facts.until(() => rig.facts.events('delivered') === 6 && rig.facts.events('filtered') === 2);
    await second.stop(5_000);
    expect(rig.facts.unknown.filter(({ outcome }) => outcome === 'unchecked')).toEqual([
      { kind: 'unremembered', subscription: 'mail', outcome: 'unchecked', events: 2 },
    ]);
  });
});

describe('two records of the same event', () => {
  const twice = async (values: [string, string]) => {
    await rig.log.append(values.map((value) => eventRecord('e1', value)));
  };

  test('while the first is with the function the second waits, and needs no call when it was delivered', async () => {
    let answer: (() => void) | null = null;
    const target = await rig.function((_, response) => {
      answer = () => response.end();
    });
    await twice(['{"n":1}', '{"n":1}']);
    const dispatcher = await start(subscription(target));
    await target.until(() => answer !== null);
    expect(dispatcher.inflight()[0]!.value).toBe(1);
    answer!();
    await rig.facts.until(() => rig.facts.events('delivered') === 1 && rig.facts.events('filtered') === 1);
    await dispatcher.stop(5_000);
    expect(target.ids).toEqual(['e1']);
    expect(rig.facts.reasons('filtered')).toEqual(['delivered_before']);
  });

  test('the second is delivered when the first was given up', async () => {
    const target = await rig.function((_, response) => {
      response.statusCode = target.ids.length === 1 ? 400 : 200;
      response.end();
    });
    await twice(['{"n":1}', '{"n":1}']);
    await start(subscription(target));
    await rig.facts.until(() => rig.facts.events('dead_letter') === 1 && rig.facts.events('delivered') === 1);
    expect(target.ids).toEqual(['e1', 'e1']);
  });

  test('with another payload it is another event', async () => {
    const target = await rig.function();
    await twice(['{"n":1}', '{"n":2}']);
    await start(subscription(target));
    await rig.facts.until(() => rig.facts.events('delivered') === 2);
    expect(rig.facts.events('filtered')).toBe(0);
  });
});

describe('the stage by itself', () => {
  const holding = () => {
    const commits = new Commits(async () => {});
    commits.assign([{ topic: 'orders', partition: 0, offset: 0 }]);
    return commits.find({ topic: 'orders', partition: 0 })!;
  };
  const delivery = (record: StoredRecord): Delivery => deliveryOf(record, holding(), record.offset, 0);

  function stage(using: DedupeStore) {
    const changes = new Changes();
    const passed: Delivery[] = [];
    const settled: Delivery[] = [];
    const remembered = new Remembered({
      subscription: { name: 'mail', group: 'g' },
      store: using,
      report: rig.facts.report,
      pass: (one) => passed.push(one),
      settled: (one) => settled.push(one),
      changed: () => changes.changed(),
    });
    return { remembered, passed, settled, until: changes.until.bind(changes) };
  }

  /** A store whose next answer to `name` waits until it is told to come. */
  function held(name: 'claim' | 'confirm') {
    const changes = new Changes();
    let asked = false;
    let answer: () => void = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const wait = async () => {
      asked = true;
      changes.changed();
      await answered;
    };
    const using: DedupeStore = {
      ...methods(store),
      async claim(claims, owner) {
        if (name === 'claim') await wait();
        return store.claim(claims, owner);
      },
      async confirm(claims, owner) {
        if (name === 'confirm') await wait();
        await store.confirm(claims, owner);
        changes.changed();
      },
    };
    return { using, answer, asked: () => changes.until(() => asked) };
  }

  test('passes nothing on that comes back after the partition was given up', async () => {
    const { using, answer, asked } = held('claim');
    const { remembered, passed } = stage(using);
    remembered.push(delivery(stored('{}')));
    await asked();
    expect([...remembered.deliveries()]).toHaveLength(1);
    remembered.close();
    answer();
    await new Promise((resolve) => setImmediate(resolve));
    expect(passed).toEqual([]);
    expect([...remembered.deliveries()]).toEqual([]);
  });

  test('settles nothing of a lost partition, but notes what was delivered', async () => {
    const { using, answer, asked } = held('confirm');
    const { remembered, passed, settled, until } = stage(using);
    remembered.push(delivery(stored('{}')));
    await until(() => passed.length === 1);
    remembered.concluded(passed[0]!, true);
    await asked();
    expect(remembered.isIdle).toBe(false);
    remembered.stop();
    answer();
    const next = stage(store);
    await expect
      .poll(async () => {
        next.remembered.push(delivery(stored('{}')));
        await next.until(() => next.passed.length + next.settled.length > 0);
        for (const one of next.passed.splice(0)) next.remembered.concluded(one, false);
        return rig.facts.events('filtered');
      })
      .toBeGreaterThan(0);
    expect(settled).toEqual([]);
  });

  test('knows an event in either mode by source, id and payload; a record without an id by its place and time', async () => {
    const keys = new Set<string>();
    const { remembered, passed, until } = stage({
      ...methods(store),
      async claim(claims, owner) {
        for (const { key } of claims) keys.add(key);
        return store.claim(claims, owner);
      },
    });
    const json = { 'content-type': 'application/cloudevents+json' };
    const different = [
      stored('{}'),
      stored('{}', { ce_id: 'other' }),
      stored('{}', { ce_source: '/other' }),
      stored('{ }'),
      stored(null),
      foreign('{"specversion":"1.0","id":"id-1","source":"/s","type":"t"}', json),
      foreign('{"specversion":"1.0","id":"id-2","source":"/s","type":"t"}', json),
      foreign('{}'),
      { ...foreign('{}'), offset: 8 },
      { ...foreign('{}'), timestamp: 1 },
    ];
    for (const record of different) remembered.push(delivery(record));
    await until(() => passed.length === different.length);
    expect(keys.size).toBe(different.length);
    // Where and when an event was stored says nothing about it.
    remembered.push(
      delivery({ ...stored('{}', { ce_time: '2024-05-01T00:00:00Z' }), offset: 99, timestamp: 5 }),
    );
    await until(() => [...remembered.deliveries()].length === 1);
    expect(keys.size).toBe(different.length);
  });
});

function methods(real: DedupeStore): DedupeStore {
  return {
    claim: (claims, owner) => real.claim(claims, owner),
    confirm: (claims, owner) => real.confirm(claims, owner),
    release: (claims, owner) => real.release(claims, owner),
    close: () => real.close(),
  };
}
