import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { open } from '../function/calls.ts';
import { startFrameworkFunction } from '../services/functions-framework.ts';
import { Changes, eventRecord, httpAt, Rig, subscription, type TestFunction } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(() => rig.close());

const warmings = ({ received }: TestFunction) =>
  received.filter(({ request }) => request.method === 'OPTIONS');

describe('a function that gets no events', () => {
  test('is called without one, again and again, with all that a call needs', async () => {
    const target = await rig.function();
    const http = httpAt(target.server.url, { auth: { bearer: 'a-token' }, headers: { 'x-team': 'shop' } });
    const dispatcher = await rig.start([subscription(target, { warm: 20, function: { http } })]);
    await target.until(() => target.received.length === 3);
    for (const { request, body } of target.received) {
      expect(request.method).toBe('OPTIONS');
      expect(request.url).toBe('/fn?x=1');
      expect(request.headers).toMatchObject({
        authorization: 'Bearer a-token',
        'x-team': 'shop',
        'user-agent': 'postern',
      });
      expect(body).toBe('');
      expect(Object.keys(request.headers).filter((name) => /^ce-|^content|idempotency/.test(name))).toEqual(
        [],
      );
    }
    expect(target.server.connections()).toBe(1);
    expect(dispatcher.inflight()).toEqual([{ subscription: 'mail', value: 0 }]);
    expect(rig.facts.all).toEqual([]);
  });

  test('is left alone when the subscription does not ask for it', async () => {
    const target = await rig.function();
    const warmed = await rig.function();
    await rig.start([subscription(target), subscription(warmed, { name: 'warmed', warm: 20 })]);
    await warmed.until(() => warmed.received.length === 3);
    expect(target.received).toEqual([]);
  });

  test('may answer anything: no delivery, retry or breaker comes of it', async () => {
    const statuses = [500, 404, 429, 301, 204];
    let calls = 0;
    const target = await rig.function(({ request }, response) => {
      if (request.method !== 'OPTIONS') return response.end();
      if (++calls % 6 === 0) return request.socket.destroy();
      return response.writeHead(statuses[calls % statuses.length]!).end('x'.repeat(200_000));
    });
    const dispatcher = await rig.start([subscription(target, { warm: 5 })]);
    await target.until(() => warmings(target).length >= 12);
    await rig.append(['e1']);
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    expect(rig.facts.all.map(({ outcome }) => outcome)).toEqual(['delivered']);
    expect(rig.facts.breakers).toEqual([]);
    expect(dispatcher.open()).toEqual([{ subscription: 'mail', value: 0 }]);
  });

  test('is not asked again while it has not answered, and events do not wait for it', async () => {
    const target = await rig.function(({ request }, response) => {
      if (request.method !== 'OPTIONS') response.end();
    });
    const other = await rig.function();
    await rig.start([
      subscription(target, { warm: 5 }),
      subscription(other, { name: 'other', topics: ['none'], warm: 5 }),
    ]);
    await other.until(() => other.received.length === 20);
    await rig.append(['e1']);
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    expect(warmings(target).length).toBe(1);
  });
});

describe('a function that needs no warming', () => {
  test('because it has calls to answer', async () => {
    const held: (() => void)[] = [];
    const target = await rig.function((_, response) => {
      held.push(() => response.end());
    });
    const other = await rig.function();
    await rig.append(['e1']);
    await rig.start([
      subscription(target, { warm: 50 }),
      subscription(other, { name: 'other', topics: ['none'], warm: 5 }),
    ]);
    await target.until(() => target.received.length > 0 && target.ids.includes('e1'));
    const before = warmings(target).length;
    const from = other.received.length;
    await other.until(() => other.received.length > from + 20);
    expect(warmings(target).length).toBe(before);
    for (const answer of held.splice(0)) answer();
    await target.until(() => warmings(target).length > before);
    for (const answer of held) answer();
  });

  test('because it is held to be down', async () => {
    const target = await rig.function(({ request }, response) => {
      response.writeHead(request.method === 'OPTIONS' ? 200 : 503).end();
    });
    const other = await rig.function();
    await rig.append(Array.from({ length: 8 }, (_, i) => `e${i}`));
    await rig.start([
      subscription(target, { warm: 50, concurrency: 1, retry: { attempts: 100, min: 1, max: 5 } }),
      subscription(other, { name: 'other', topics: ['none'], warm: 5 }),
    ]);
    await rig.facts.until(() => rig.facts.breakers.length === 1);
    const before = warmings(target).length;
    const from = other.received.length;
    await other.until(() => other.received.length > from + 20);
    expect(warmings(target).length).toBe(before);
  });
});

describe("a function of Google's Functions Framework that takes CloudEvents", () => {
  test('sees nothing of it, and its events as before', async () => {
    const said = new Changes();
    const seen: unknown[] = [];
    const framework = await startFrameworkFunction(
      `ff.cloudEvent('fn', (event) => said({ id: event.id }));`,
      (value) => {
        seen.push(value);
        said.changed();
      },
    );
    open.push(framework);
    // Answered by the framework itself, with an error even.
    await fetch(framework.url, { method: 'OPTIONS' });
    const other = await rig.function();
    await rig.start([
      subscription(other, { warm: 5, function: { http: httpAt(framework.url) } }),
      subscription(other, { name: 'other', topics: ['none'], warm: 5 }),
    ]);
    await other.until(() => other.received.length === 20);
    await rig.log.append([eventRecord('e1', '{}')]);
    await said.until(() => seen.length === 1);
    expect(seen).toEqual([{ id: 'e1' }]);
  });
});
