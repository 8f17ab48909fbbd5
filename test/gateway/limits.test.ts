import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Rate, SourceConfig } from '../../src/config/source/types.ts';
import { RequestError } from '../../src/core/errors.ts';
import type { Admission } from '../../src/gateway/admission/admit.ts';
import type { Limiter } from '../../src/gateway/rate/limiter.ts';
import { makeLimiter } from '../../src/gateway/rate/rate-limiter.ts';
import { StoreUnavailable } from '../../src/ports/dedupe-store.ts';
import type { RateStore, TokenAsk, TokenGrant } from '../../src/ports/rate-store.ts';
import { type Harness, startGateway } from './harness.ts';
import { rawExchange, wholeReply } from './raw.ts';

const rate = (events: number | null, bytes: number | null = null): Rate => ({ events, bytes });
const digest = (text: string) => text;
const from = (who: string | null): Admission => ({ guarded: { source: { name: 's' } }, who }) as Admission;

/** A limiter of one source, and its clock. */
function limiterOf(all: Rate | null, key: Rate | null = null, store: RateStore | null = null) {
  const clock = { now: 1_000_000 };
  const sources = [{ name: 's', rate: { all, key } } as SourceConfig];
  const limiter = makeLimiter({ sources, store, digests: { digest }, now: () => clock.now })!;
  return { limiter, clock };
}

/** Seconds to wait, or 0 when the request came in. */
async function send(limiter: Limiter, who: string | null, events = 1, bytes = 1): Promise<number> {
  try {
    limiter.check(from(who));
    await limiter.take(from(who), events, bytes);
    return 0;
  } catch (error) {
    expect(error).toBeInstanceOf(RequestError);
    const { code, headers } = error as RequestError;
    expect([code, headers['retry-after']]).toEqual(['rate_limited', expect.stringMatching(/^[1-9]\d*$/)]);
    return Number(headers['retry-after']);
  }
}

/** Events that come in of requests sent one after another. */
async function accepted(limiter: Limiter, who: string | null, requests: number, events = 1): Promise<number> {
  let sum = 0;
  for (let i = 0; i < requests; i++) if ((await send(limiter, who, events)) === 0) sum += events;
  return sum;
}

describe('rates of one gateway', () => {
  it('are none when no source has one', () => {
    const sources = [{ name: 's', rate: { all: null, key: null } } as SourceConfig];
    expect(makeLimiter({ sources, store: null, digests: { digest } })).toBeNull();
  });

  it('let in a burst of one second, then the rate, and never more', async () => {
    const { limiter, clock } = limiterOf(rate(100));
    expect(await accepted(limiter, null, 150)).toBe(100);
    let sum = 0;
    for (let ms = 0; ms < 10_000; ms += 7) {
      clock.now += 7;
      sum += await accepted(limiter, null, 3);
    }
    expect(sum).toBeGreaterThanOrEqual(999);
    expect(sum).toBeLessThanOrEqual(1001);
    clock.now += 3_600_000;
    expect(await accepted(limiter, null, 150)).toBe(100);
  });

  it('let in a request that holds more than a burst, and make the next ones wait for it', async () => {
    const { limiter, clock } = limiterOf(rate(10));
    expect(await send(limiter, null, 2500)).toBe(0);
    expect(await send(limiter, null)).toBe(250);
    clock.now += 248_000;
    expect(await send(limiter, null)).toBe(2);
    clock.now += 1_200;
    expect(await send(limiter, null)).toBe(0);
    expect(await send(limiter, null)).toBe(0);
    expect(await send(limiter, null)).toBe(1);
    let sum = 0;
    for (let i = 0; i < 1000; i++) {
      clock.now += 100;
      sum += await accepted(limiter, null, 1, 50);
    }
    expect(sum).toBe(1000);
  });

  it('count bytes too, and take nothing for what they refuse', async () => {
    const { limiter, clock } = limiterOf(rate(100, 1000));
    expect(await send(limiter, null, 1, 1500)).toBe(0);
    for (let i = 0; i < 50; i++) expect(await send(limiter, null, 1, 1)).toBe(1);
    clock.now += 600;
    for (let i = 0; i < 99; i++) expect(await send(limiter, null, 1, 1)).toBe(0);
  });

  it('of a key stop that key alone', async () => {
    const { limiter, clock } = limiterOf(rate(100), rate(10));
    expect(await accepted(limiter, 'loud', 1000)).toBe(10);
    expect(await accepted(limiter, 'quiet', 10)).toBe(10);
    let [loud, quiet] = [0, 0];
    for (let i = 0; i < 100; i++) {
      clock.now += 100;
      loud += await accepted(limiter, 'loud', 50);
      quiet += await accepted(limiter, 'quiet', 1);
    }
    expect([loud, quiet]).toEqual([100, 100]);
    for (let i = 0; i < 20; i++) clock.now += 1000;
    expect(await accepted(limiter, null, 200)).toBe(100);
  });

  it('remember a bounded number of keys', async () => {
    const { limiter } = limiterOf(null, rate(1));
    for (let i = 0; i < 20_001; i++) await limiter.take(from(`subject-${i}`), 1, 1);
    expect(await send(limiter, 'subject-20000')).toBe(1);
    expect(await send(limiter, 'subject-0')).toBe(0);
  });

  it('are told in each reply', async () => {
    const { limiter, clock } = limiterOf(rate(10, 1000), rate(5));
    expect(limiter.headers(from('k'))).toEqual({
      'ratelimit-policy':
        '"key-events";q=5;w=1;qu="events", "events";q=10;w=1;qu="events", "bytes";q=1000;w=1;qu="content-bytes"',
      ratelimit: '"key-events";r=5;t=1, "events";r=10;t=1, "bytes";r=1000;t=1',
    });
    await send(limiter, 'k', 13, 10);
    expect(limiter.headers(from('k')).ratelimit).toBe(
      '"key-events";r=0;t=2, "events";r=0;t=1, "bytes";r=990;t=1',
    );
    clock.now += 1_400;
    await send(limiter, 'k');
    expect(limiter.headers(from('k')).ratelimit).toBe(
      '"key-events";r=0;t=1, "events";r=10;t=1, "bytes";r=1000;t=1',
    );
  });
});

/** A store in this process whose answers come when they are let through. */
class HeldStore implements RateStore {
  calls: { asks: readonly TokenAsk[]; answer(grants: TokenGrant[] | Error): void }[] = [];

  take(asks: readonly TokenAsk[]): Promise<TokenGrant[]> {
    return new Promise((resolve, reject) => {
      const answer = (grants: TokenGrant[] | Error) =>
        Array.isArray(grants) ? resolve(grants) : reject(grants);
      this.calls.push({ asks, answer });
    });
  }

  async close() {}

  async next() {
    await expect.poll(() => this.calls.length, { interval: 1 }).toBe(1);
    return this.calls.shift()!;
  }
}

describe('rates that gateways share', () => {
  it('are had ahead: many requests, few calls, each for what was spent', async () => {
    const store = new HeldStore();
    const { limiter } = limiterOf(rate(1000), null, store);
    const requests = Promise.all(Array.from({ length: 60 }, () => send(limiter, null)));
    const first = await store.next();
    expect(first.asks).toEqual([{ key: 's\nevents\n', rate: 1000, owed: 0, want: 100 }]);
    first.answer([{ granted: 100, left: 900, wait: 0 }]);
    expect(new Set(await requests)).toEqual(new Set([0]));
    const second = await store.next();
    const debtor = send(limiter, null, 70);
    expect(await debtor).toBe(0);
    second.answer([{ granted: second.asks[0]!.want, left: 840, wait: 0 }]);
    expect(await send(limiter, null, 400)).toBe(0);
    const third = await store.next();
    const [ask] = third.asks;
    expect(ask!.owed).toBe(60 + 70 + 400 - 100 - second.asks[0]!.want);
    third.answer([{ granted: ask!.want, left: 0, wait: 0 }]);
    await turn();
    expect(await send(limiter, null, 99)).toBe(0);
    expect((await store.next()).asks).toEqual([{ ...ask, owed: 0, want: 99 }]);
  });

  it('that are spent refuse requests until there are tokens again', async () => {
    const store = new HeldStore();
    const { limiter, clock } = limiterOf(rate(10), null, store);
    const request = send(limiter, null);
    (await store.next()).answer([{ granted: 0, left: -24, wait: 2_500 }]);
    expect(await request).toBe(3);
    expect(await send(limiter, null)).toBe(3);
    expect(store.calls).toEqual([]);
    clock.now += 2_500;
    const later = send(limiter, null);
    (await store.next()).answer([{ granted: 1, left: 0, wait: 0 }]);
    expect(await later).toBe(0);
  });

  it('are each counted here alone while the store does not answer, and shared again once it does', async () => {
    const store = new HeldStore();
    const { limiter, clock } = limiterOf(rate(100), null, store);
    const waiting = Promise.all(Array.from({ length: 150 }, () => send(limiter, null)));
    (await store.next()).answer(new StoreUnavailable('down'));
    expect((await waiting).filter((wait) => wait === 0)).toHaveLength(100);
    clock.now += 500;
    expect(await accepted(limiter, null, 200)).toBe(50);
    expect(store.calls).toEqual([]);
    clock.now += 500;
    // Asked again, but nobody waits for it.
    expect(await accepted(limiter, null, 200)).toBe(50);
    (await store.next()).answer([{ granted: 0, left: 0, wait: 0 }]);
    await turn();
    const shared = send(limiter, null);
    (await store.next()).answer([{ granted: 1, left: 0, wait: 10 }]);
    expect(await shared).toBe(0);
    expect(await send(limiter, null)).toBe(1);
  });
});

describe('what gathered while there was no store', () => {
  it('is not had on top of what the others took meanwhile', async () => {
    const store = new HeldStore();
    const { limiter, clock } = limiterOf(rate(100), null, store);
    const first = send(limiter, null);
    (await store.next()).answer(new StoreUnavailable('down'));
    expect(await first).toBe(0);
    clock.now += 5_000;
    expect(await send(limiter, null)).toBe(0);
    (await store.next()).answer([{ granted: 0, left: 0, wait: 0 }]);
    await turn();
    expect(await accepted(limiter, null, 10)).toBe(10);
    (await store.next()).answer([{ granted: 0, left: 0, wait: 1_000 }]);
    await turn();
    expect(await send(limiter, null)).toBe(1);
  });
});

describe('over HTTP', () => {
  let gateway: Harness;
  beforeAll(async () => {
    gateway = await startGateway({
      yaml: `
gateway: { cors: { origins: ['https://shop.example'] } }
sources:
  slow: { protocol: events, topic: slow, id: [/id], rate: { events: 1 } }
  free: { protocol: events, topic: free, id: [/id] }
  keys:
    protocol: events
    topic: keys
    id: [/id]
    keys: [{ id: loud, key: loud-key }, { id: quiet, key: quiet-key }]
    rate: { events: 1000, key: { events: 20 } }
  pages: { protocol: segment, keys: [write-key], topic: pages, rate: { events: 1 } }
`,
    });
  });
  afterAll(() => gateway.close());

  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    fetch(gateway.url + path, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    });
  const batch = (name: string, count: number) =>
    JSON.stringify(Array.from({ length: count }, (_, i) => ({ id: `${name}-${i}` })));

  it('answers 429 with when to come back, also to web pages, and says in all replies what is left', async () => {
    const large = await post('/events/slow', batch('large', 60));
    expect([large.status, large.headers.get('ratelimit-policy')]).toEqual([
      202,
      '"events";q=1;w=1;qu="events"',
    ]);
    expect(large.headers.get('ratelimit')).toMatch(/^"events";r=0;t=\d+$/);
    const over = await post('/events/slow', '{"id":"over"}', { origin: 'https://shop.example' });
    const problem = (await over.json()) as { type: string; detail: string };
    expect([over.status, problem.type]).toEqual([429, 'urn:postern:problem:rate_limited']);
    expect(Number(over.headers.get('retry-after'))).toBeGreaterThan(30);
    expect(over.headers.get('access-control-allow-origin')).toBe('https://shop.example');
    expect(over.headers.get('access-control-expose-headers')).toContain('Retry-After');
    expect(over.headers.get('ratelimit')).toMatch(/r=0/);
    const free = await post('/events/free', '{"id":"f"}');
    expect([free.status, free.headers.get('ratelimit')]).toEqual([202, null]);
    expect((await gateway.read('slow')).length).toBe(60);
  });

  it('refuses before the body is sent when nothing is left', async () => {
    await post('/events/slow', batch('again', 60));
    const reply = await rawExchange(
      gateway.port,
      [
        'POST /events/slow HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n',
      ],
      wholeReply,
    );
    expect(reply).toMatch(/^HTTP\/1\.1 429 /);
  });

  it('one key over its rate leaves the others alone', async () => {
    const loud = await post('/events/keys', batch('loud', 500), { 'x-api-key': 'loud-key' });
    const more = await post('/events/keys', batch('more', 5), { 'x-api-key': 'loud-key' });
    expect([loud.status, more.status]).toEqual([202, 429]);
    expect(((await more.json()) as { detail: string }).detail).toContain('this key');
    for (let i = 0; i < 10; i++) {
      const quiet = await post('/events/keys', batch(`quiet-${i}`, 1), { 'x-api-key': 'quiet-key' });
      expect(quiet.status).toBe(202);
    }
    expect(gateway.requests.filter(({ error }) => error === 'rate_limited').map(({ who }) => who)).toContain(
      'loud',
    );
  });
});
