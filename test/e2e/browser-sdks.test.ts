import { join } from 'node:path';
import { build } from 'esbuild';
import type { Page, Request } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { BrowserRig, closeAsPeopleDo } from './browser-rig.ts';
import { acceptedOf } from './counters.ts';
import { loadSdk, type SdkWindow, trackMany } from './in-page.ts';
import { readTopic } from './kafka-reader.ts';

const SOURCES = ['settings', 'inline', 'batching', 'rudder', 'beacon', 'killed-segment', 'killed-rudder'];

const brokers = inject('kafkaBrokers');
const prefix = `sdks-${crypto.randomUUID().slice(0, 8)}`;

let rig: BrowserRig;
beforeAll(async () => {
  const entryPoints = [join(import.meta.dirname, 'page-sdks.ts')];
  const bundle = await build({
    entryPoints,
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
  });
  const source = (name: string, origin: string) =>
    `  ${name}: { protocol: segment, topic: ${prefix}.${name}, keys: [key-of-${name}], origins: ['${origin}'] }`;
  rig = await BrowserRig.start((origin) => ({
    yaml: `
log: { kafka: { brokers: ['${brokers}'], create: {} }, timeout: 4s }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' }, lease: 5s }
sources:
${SOURCES.map((name) => source(name, origin)).join('\n')}
`,
  }));
  rig.pages.put('/sdks.js', bundle.outputFiles[0]!.text);
  rig.pages.put(
    '/',
    '<!doctype html><title>shop</title><link rel="icon" href="data:,"><script src="/sdks.js"></script>',
  );
});
afterAll(async () => expect(await rig.stop()).toBe(0));
beforeEach(() => rig.forget());

type Options = Omit<Parameters<typeof loadSdk>[0], 'key' | 'url'>;

async function openWith(source: string, options: Options): Promise<Page> {
  const page = await rig.open(rig.pages.origin);
  await page.evaluate(loadSdk, { ...options, key: `key-of-${source}`, url: rig.postern.url });
  return page;
}

interface Call {
  messageId: string;
  type: string;
  event?: string;
  userId?: string;
  properties?: Record<string, unknown>;
}

/** The stored calls of a source. Each has its message id as the id of its record. */
async function callsIn(source: string): Promise<Call[]> {
  const records = await readTopic(brokers, `${prefix}.${source}`);
  return records.map(({ value, headers }) => {
    const call = JSON.parse(value!.toString()) as Call;
    expect(headers.ce_id).toBe(call.messageId);
    return call;
  });
}

const stored = (source: string) => expect.poll(() => acceptedOf(rig.postern.admin, source));

/** Runs in a page: a visit. */
async function visit(): Promise<void> {
  const { sdk } = globalThis as unknown as SdkWindow;
  await new Promise<void>((done) => sdk.page('Shop', 'Home', {}, {}, done));
  await new Promise<void>((done) => sdk.identify('user-1', { plan: 'free' }, {}, done));
  await new Promise<void>((done) => sdk.track('Order Completed', { total: 9.5 }, {}, done));
}

async function expectVisit(source: string): Promise<void> {
  await stored(source).toBe(3);
  const calls = await callsIn(source);
  expect(calls.map(({ type, event, userId }) => [type, event, userId].join()).sort()).toEqual([
    'identify,,user-1',
    'page,,',
    'track,Order Completed,user-1',
  ]);
  expect(new Set(calls.map(({ messageId }) => messageId)).size).toBe(3);
}

describe('analytics.js 2 of Segment', () => {
  it('loads its settings from the gateway, and sends page, identify and track', async () => {
    const url = `${rig.postern.url}/v1/projects/key-of-settings/settings`;
    // The page asks while it opens.
    const settings = rig.context.waitForEvent('response', (response) => response.url() === url);
    const page = await openWith('settings', { name: 'segment' });
    await page.evaluate(visit);
    expect((await settings).status()).toBe(200);
    await expectVisit('settings');
  });

  it('sends with settings that the page brings', async () => {
    const segment = {
      apiKey: 'key-of-inline',
      apiHost: `${new URL(rig.postern.url).host}/v1`,
      protocol: 'http',
    };
    const cdnSettings = { integrations: { 'Segment.io': segment } };
    const page = await openWith('inline', { name: 'segment', settings: { cdnSettings } });
    await page.evaluate(visit);
    await expectVisit('inline');
  });

  it('C16 sends batches, the last one while its page is being closed', async () => {
    const deliveryStrategy = { strategy: 'batching', config: { size: 5, timeout: 600_000 } };
    const options = { integrations: { 'Segment.io': { deliveryStrategy } } };
    const page = await openWith('batching', { name: 'segment', options });
    await page.evaluate(trackMany, { from: 0, to: 5 });
    await stored('batching').toBe(5);
    await page.evaluate(async () => {
      const { sdk } = globalThis as unknown as SdkWindow;
      // For the SDK an event that waits for the next batch counts as sent.
      for (const n of [5, 6, 7]) await sdk.track('Clicked', { n });
    });
    await closeAsPeopleDo(page);
    await stored('batching').toBe(8);
    const calls = await callsIn('batching');
    expect(calls.map(({ properties }) => properties!.n as number).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });
});

describe('analytics.js of RudderStack', () => {
  it('loads its settings from the gateway, and sends page, identify and track', async () => {
    const page = await openWith('rudder', { name: 'rudder' });
    await page.evaluate(visit);
    await expectVisit('rudder');
  });

  it('sends beacons when its page is being closed', async () => {
    const page = await openWith('beacon', { name: 'rudder', options: { useBeacon: true } });
    await page.evaluate(visit);
    await closeAsPeopleDo(page);
    await expectVisit('beacon');
  });
});

describe.each(['segment', 'rudder'] as const)(
  'the gateway of a page with the SDK of %s is killed',
  (name) => {
    const source = `killed-${name}`;

    it('and the SDK sends again what was not answered: nothing is lost, and nothing is there twice that was', async () => {
      const page = await openWith(source, { name });
      const failed = new Set<string>();
      page.on('requestfailed', (request: Request) => {
        const { messageId } = (request.postDataJSON() ?? {}) as Partial<Call>;
        if (messageId !== undefined) failed.add(messageId);
      });
      const answered = page.waitForResponse((reply) => /\/v1\/t/.test(reply.url()) && reply.ok());
      await page.evaluate(trackMany, { from: 0, to: 40 });
      await answered;
      rig.postern.kill('SIGKILL');
      await rig.postern.exited;
      const missed = page.waitForEvent('requestfailed');
      await page.evaluate(trackMany, { from: 40, to: 60 });
      await missed;
      await rig.restart();
      let calls: Call[] = [];
      await expect
        .poll(
          async () => {
            calls = await callsIn(source);
            return new Set(calls.map(({ properties }) => properties!.n)).size;
          },
          { timeout: 120_000, interval: 500 },
        )
        .toBe(60);
      const copies = Map.groupBy(calls, ({ messageId }) => messageId);
      expect(copies.size).toBe(60);
      // Of a process that dies between storing an event and noting its id the next one does not know.
      const twice = [...copies].filter(([, list]) => list.length > 1);
      expect(twice.filter(([id, list]) => !failed.has(id) || list.length > 2)).toEqual([]);
    }, 180_000);
  },
);
