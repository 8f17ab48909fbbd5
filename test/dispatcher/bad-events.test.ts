import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { idsOf } from './records.ts';
import { eventRecord, numbered, Rig, subscription } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(() => rig.close());

const POISON = 2_500;
const isBad = (id: string) => id.startsWith('bad');
const bad = (count: number) => Array.from({ length: count }, (_, i) => `bad${i}`);
const delivered = () => rig.facts.events('delivered');
const given = () => rig.facts.events('dead_letter');
const RETRY = { attempts: 4, min: 20, max: 200 };

/** A function that answers bad events with 500; keeps when it took each of the others. */
async function picky() {
  const taken = new Map<string, number>();
  const target = await rig.function(({ id }, response) => {
    if (!isBad(id)) taken.set(id, performance.now());
    response.writeHead(isBad(id) ? 500 : 200).end();
  });
  return { target, taken };
}

const keysOf = async (count: number) =>
  new Set((await rig.read('mail.dead', count)).map(({ headers }) => Buffer.from(headers.ce_id!).toString()));

describe('a function that answers is not down', { tags: ['slow'] }, () => {
  test('2,500 bad events of one request end as dead letters, and good ones beside them come in time', async () => {
    const { target, taken } = await picky();
    const sent = new Map<string, number>();
    await rig.start([subscription(target, { retry: RETRY, concurrency: 16 })]);
    await rig.append(bad(POISON));
    const limit = performance.now() + 120_000;
    while (given() < POISON && performance.now() < limit) {
      const id = `good${sent.size}`;
      sent.set(id, performance.now());
      await rig.append([id]);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(given()).toBe(POISON);
    await rig.facts.until(() => delivered() === sent.size);
    const late = [...sent].map(([id, at]) => taken.get(id)! - at);
    expect(Math.max(...late)).toBeLessThan(10_000);
    expect(await keysOf(POISON)).toEqual(new Set(bad(POISON)));
    // Each has had all of its attempts.
    expect(rig.facts.events('retry')).toBeGreaterThanOrEqual(POISON * (RETRY.attempts - 1));
  });

  test('three good events after 200 bad ones are taken soon, and let the bad ones be given up', async () => {
    const { target, taken } = await picky();
    await rig.append([...bad(200), ...numbered(3)]);
    const from = performance.now();
    await rig.start([subscription(target, { retry: RETRY, concurrency: 16 })]);
    await rig.facts.until(() => delivered() === 3);
    expect(Math.max(...taken.values()) - from).toBeLessThan(10_000);
    await rig.facts.until(() => given() === 200);
    expect(await keysOf(200)).toEqual(new Set(bad(200)));
  });

  test('bad events alone are waited for; a good one is taken at once however long they have been there', async () => {
    const { target, taken } = await picky();
    await rig.append(bad(300));
    await rig.start([subscription(target, { retry: { attempts: 2, min: 1, max: 5 }, concurrency: 16 })]);
    await target.until(() => new Set(target.ids).size === 300);
    // The turns of the probes, and the search, have all come to bad ones.
    await target.until(() => target.ids.length >= 303);
    expect(given()).toBe(0);
    const from = performance.now();
    await rig.append(['good']);
    await target.until(() => taken.has('good'));
    expect(taken.get('good')! - from).toBeLessThan(5_000);
    await rig.facts.until(() => given() === 300);
    expect(delivered()).toBe(1);
  });

  test.each([
    ['most keys', 9, 1],
    ['every key', 10, 1],
    ['every key, two of each', 10, 2],
  ])(
    'connections that it resets for events of %s keep the others for a bounded time, and in order',
    async (_, of, each) => {
      const taken: string[] = [];
      const target = await rig.function(({ id, request }, response) => {
        if (isBad(id)) request.socket.resetAndDestroy();
        else {
          taken.push(id);
          response.end();
        }
      });
      const keyed = (id: string, key: string) => ({ ...eventRecord(id, '{}'), key });
      const keys = Array.from({ length: 10 }, (_, i) => `k${i}`);
      const heads = bad(of * each).map((id, i) => keyed(id, keys[i % of]!));
      const rest = numbered(40).map((id, i) => keyed(id, keys[i % 10]!));
      await rig.log.append([...heads, ...rest]);
      await rig.start([subscription(target, { order: 'key', retry: RETRY, concurrency: 4 })]);
      await rig.facts.until(() => delivered() === 40 && given() === of * each);
      expect(await keysOf(of * each)).toEqual(new Set(bad(of * each)));
      for (const i of keys.keys()) {
        const ofKey = (ids: string[]) => ids.filter((id) => Number(id.slice(1)) % 10 === i);
        expect(ofKey(taken)).toEqual(ofKey(numbered(40)));
      }
      expect(new Set(rig.facts.reasons('dead_letter'))).toEqual(new Set(['connection_lost']));
    },
  );

  test.each([
    ['none', 10],
    ['key', 10],
    ['none', 3],
  ] as const)(
    'batches that all have bad events in them (order: %s, one of %i) are taken but for those',
    async (order, each) => {
      const all = Array.from({ length: 1_500 }, (_, i) => (i % each === 0 ? `bad${i}` : `e${i}`));
      const target = await rig.function(({ body }, response) =>
        response.writeHead(idsOf(body).some(isBad) ? 500 : 200).end(),
      );
      await rig.log.append(all.map((id, i) => ({ ...eventRecord(id, '{}'), key: `k${i % 97}` })));
      const batch = { events: 100, wait: 10, size: 1_000_000 };
      await rig.start([subscription(target, { mode: 'batch', batch, order, retry: RETRY, concurrency: 4 })]);
      await rig.facts.until(() => delivered() + given() === all.length);
      expect(await keysOf(given())).toEqual(new Set(all.filter(isBad)));
    },
  );
});

describe('a function that is down for all events', { tags: ['slow'] }, () => {
  test('for longer than their attempts take gets all of every key, in order', async () => {
    let isUp = false;
    const taken: string[] = [];
    const target = await rig.function(({ id }, response) => {
      if (isUp) taken.push(id);
      response.writeHead(isUp ? 200 : 503).end();
    });
    const keys = Array.from({ length: 6 }, (_, i) => `k${i}`);
    await rig.log.append(numbered(60).map((id, i) => ({ ...eventRecord(id, '{}'), key: keys[i % 6]! })));
    const few = { attempts: 2, min: 1, max: 5 };
    await rig.start([subscription(target, { order: 'key', retry: few, concurrency: 4 })]);
    // It has looked at what comes after the first events.
    await target.until(() => new Set(target.ids).size > 7);
    isUp = true;
    await rig.facts.until(() => delivered() === 60);
    expect(given()).toBe(0);
    for (const i of keys.keys()) {
      const ofKey = (ids: string[]) => ids.filter((id) => Number(id.slice(1)) % 6 === i);
      expect(ofKey(taken)).toEqual(ofKey(numbered(60)));
    }
  });

  test('and up for a moment only, costs no event anything', async () => {
    let isUp = false;
    let good = 0;
    const target = await rig.function((_, response) => {
      const isTaken = isUp || (rig.facts.breakers.length > 0 && good < 20);
      if (isTaken) good++;
      response.writeHead(isTaken ? 200 : 500).end();
    });
    await rig.append(numbered(200));
    await rig.start([subscription(target, { retry: { attempts: 3, min: 1, max: 5 }, concurrency: 8 })]);
    await rig.facts.until(() => rig.facts.breakers.length >= 3);
    await target.until(() => new Set(target.ids).size === 200 && target.ids.length > 222);
    expect(rig.facts.breakers.at(-1)!.open).toBe(true);
    isUp = true;
    await rig.facts.until(() => delivered() === 200);
    expect(given()).toBe(0);
  });

  test('keeps what was read of its backlog, even when it answers in between to an event that it never refused', async () => {
    let isUp = false;
    const target = await rig.function(({ id }, response) =>
      response.writeHead(isUp || id === 'only' ? 200 : 503).end(),
    );
    await rig.append(numbered(100));
    await rig.start([subscription(target, { retry: { attempts: 50, min: 20, max: 40 }, concurrency: 8 })]);
    await target.until(() => new Set(target.ids).size === 100);
    await rig.append(['only', ...numbered(50, 100)]);
    await rig.facts.until(() => delivered() === 1);
    isUp = true;
    await rig.facts.until(() => delivered() === 151);
    expect(given()).toBe(0);
  });
});
