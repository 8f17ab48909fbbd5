import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { BrowserRig, closeAsPeopleDo } from './browser-rig.ts';
import { acceptedOf, answeredOf } from './counters.ts';
import { type PageWindow, sendKinds, sendOnHide } from './in-page.ts';
import { readTopic } from './kafka-reader.ts';
import type { Pages } from './pages.ts';
import type { Postern } from './postern.ts';

const brokers = inject('kafkaBrokers');
const prefix = `browser-${crypto.randomUUID().slice(0, 8)}`;
const SOURCES = ['closed', 'kinds', 'quota', 'kept', 'typed', 'sandbox'];

let rig: BrowserRig;
let pages: Pages;
let postern: Postern;
beforeAll(async () => {
  rig = await BrowserRig.start((origin) => ({
    yaml: `
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' } }
sources:
${SOURCES.map((name) => `  ${name}: { protocol: events, topic: ${prefix}.${name}, id: [/id], origins: ['${origin}'] }`).join('\n')}
`,
  }));
  ({ pages, postern } = rig);
});
afterAll(async () => expect(await rig.stop()).toBe(0));
beforeEach(() => rig.forget());

const open = (url: string): Promise<Page> => rig.open(url);

/** The ids that a closed page has left in its storage. */
async function leftBy(name: string): Promise<string[]> {
  const page = await open(`${pages.origin}/later`);
  await page.waitForFunction((key) => localStorage.getItem(key) !== null, name);
  return page.evaluate((key) => JSON.parse(localStorage.getItem(key)!) as string[], name);
}

async function idsIn(source: string): Promise<string[]> {
  return (await readTopic(brokers, `${prefix}.${source}`)).map((record) => record.headers.ce_id!);
}

const accepted = (source: string) => expect.poll(() => acceptedOf(postern.admin, source));
const answered = (source: string, status: number) =>
  expect.poll(() => answeredOf(postern.admin, source, status));

describe('beacons of a page that goes away', () => {
  it('stores 1,000 events of a page while it is being closed, and none of a page elsewhere', async () => {
    const url = `${postern.url}/events/closed`;
    const [mine, stranger] = [await open(pages.origin), await open(pages.stranger)];
    await stranger.evaluate(sendOnHide, { url, beacons: 5, each: 10, filler: 0 });
    await closeAsPeopleDo(stranger);
    await answered('closed', 403).toBe(5);
    // A beacon an event would be too many: of some 256 at once Chromium itself drops the rest, and says they are taken.
    await mine.evaluate(sendOnHide, { url, beacons: 25, each: 40, filler: 0 });
    await closeAsPeopleDo(mine);
    const taken = await leftBy('taken');
    expect(taken).toHaveLength(1000);
    await accepted('closed').toBe(taken.length);
    expect((await idsIn('closed')).sort()).toEqual(taken.sort());
    expect(await answeredOf(postern.admin, 'closed', 403)).toBe(5);
  });

  it('C16 stores what fits into the 64 KiB that a page may have in flight, and the rest at its next visit', async () => {
    const url = `${postern.url}/events/quota`;
    const page = await open(pages.origin);
    await page.evaluate(sendOnHide, { url, beacons: 40, each: 1, filler: 3000 });
    await closeAsPeopleDo(page);
    const taken = await leftBy('taken');
    expect(taken.length).toBeGreaterThan(0);
    expect(taken.length).toBeLessThan(40);
    await accepted('quota').toBe(taken.length);
    expect((await idsIn('quota')).sort()).toEqual([...taken].sort());
    const all = Array.from({ length: 40 }, (_, n) => ({ id: `${n}.0`, filler: 'x'.repeat(3000) }));
    const later = await open(pages.origin);
    const status = await later.evaluate(
      async ([target, body]) => (await fetch(target!, { method: 'POST', body: body! })).status,
      [url, JSON.stringify(all)],
    );
    expect(status).toBe(202);
    expect((await idsIn('quota')).sort()).toEqual(all.map(({ id }) => id).sort());
  });

  it('stores what a page sends by fetch with keepalive while it is being closed', async () => {
    const url = `${postern.url}/events/kept`;
    const page = await open(pages.origin);
    // Its preflight is asked for and kept while the page still lives.
    const first = await page.evaluate(async (target) => {
      const send = (id: string) =>
        fetch(target, {
          method: 'POST',
          keepalive: true,
          credentials: 'include',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ id }),
        });
      const { addEventListener } = globalThis as unknown as PageWindow;
      addEventListener('pagehide', () => {
        for (let n = 0; n < 20; n++) void send(`late-${n}`);
      });
      return (await send('early')).status;
    }, url);
    expect(first).toBe(202);
    await closeAsPeopleDo(page);
    const ids = ['early', ...Array.from({ length: 20 }, (_, n) => `late-${n}`)];
    await accepted('kept').toBe(ids.length);
    expect((await idsIn('kept')).sort()).toEqual(ids.sort());
  });
});

describe('kinds of bodies, and who sends them', () => {
  it('C15 stores string, text and, after a preflight, JSON beacons of a listed page; forms get 415; strangers nothing', async () => {
    const url = `${postern.url}/events/kinds`;
    const stranger = await open(pages.stranger);
    const blocked = stranger.waitForEvent('requestfailed');
    expect(await stranger.evaluate(sendKinds, { url, who: 'stranger' })).toEqual([
      true,
      true,
      true,
      true,
      true,
    ]);
    // The JSON one fails in its preflight, and the others, which have none, are refused.
    expect((await blocked).url()).toBe(url);
    await answered('kinds', 403).toBe(4);
    const page = await open(pages.origin);
    expect(await page.evaluate(sendKinds, { url, who: 'page' })).toEqual([true, true, true, true, true]);
    await accepted('kinds').toBe(3);
    await answered('kinds', 415).toBe(2);
    expect((await idsIn('kinds')).sort()).toEqual(['page-json', 'page-string', 'page-text']);
    expect(await answeredOf(postern.admin, 'kinds', 403)).toBe(4);
  });

  it('C16 asks for a preflight once, with the headers of SDKs', async () => {
    const page = await open(pages.origin);
    const client = await rig.context.newCDPSession(page);
    await client.send('Network.enable');
    const asked: string[] = [];
    client.on('Network.requestWillBeSent', ({ request }) => {
      if (request.url.includes('/events/typed')) asked.push(request.method);
    });
    const statuses = await page.evaluate(async (url) => {
      const list: number[] = [];
      for (let n = 0; n < 3; n++) {
        const reply = await fetch(url, {
          method: 'POST',
          credentials: 'include',
          headers: {
            'content-type': 'application/json',
            authorization: 'Basic a2V5Og==',
            anonymousid: 'a',
            sentat: 's',
            'idempotency-key': `typed-${n}`,
            traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
            'ce-specversion': '1.0',
            'ce-id': `typed-${n}`,
            'ce-source': '/page',
            'ce-type': 'seen',
            'ce-anyextension': 'x',
          },
          body: '{}',
        });
        list.push(reply.status);
      }
      return list;
    }, `${postern.url}/events/typed`);
    expect(statuses).toEqual([202, 202, 202]);
    expect(asked.sort()).toEqual(['OPTIONS', 'POST', 'POST', 'POST']);
    const records = await readTopic(brokers, `${prefix}.typed`);
    expect(records.map(({ headers }) => [headers.ce_id, headers.ce_anyextension]).sort()).toEqual([
      ['typed-0', 'x'],
      ['typed-1', 'x'],
      ['typed-2', 'x'],
    ]);
  });

  it('takes nothing from a sandboxed frame of a listed page: its origin is null', async () => {
    const url = `${postern.url}/events/sandbox`;
    pages.put(
      '/frame',
      `<iframe sandbox="allow-scripts" srcdoc="<script>navigator.sendBeacon('${url}', '{&quot;id&quot;:&quot;frame&quot;}')</script>"></iframe>`,
    );
    const page = await open(`${pages.origin}/frame`);
    await answered('sandbox', 403).toBe(1);
    await page.evaluate((target) => fetch(target, { method: 'POST', body: '{"id":"page"}' }), url);
    expect(await idsIn('sandbox')).toEqual(['page']);
  });
});
