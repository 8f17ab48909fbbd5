import { once } from 'node:events';
import { connect } from 'node:net';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { listen } from '../../src/adapters/runtime/listen.ts';
import { nodePlatform } from '../../src/adapters/runtime/node-platform.ts';
import { readConfig } from '../../src/config/read.ts';
import { makeGateway } from '../../src/gateway/app.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { BrowserRig } from './browser-rig.ts';
import { answeredOf } from './counters.ts';
import { ask, showImage } from './in-page.ts';
import { readTopic } from './kafka-reader.ts';
import type { Pages } from './pages.ts';
import type { Postern } from './postern.ts';

const brokers = inject('kafkaBrokers');
const prefix = `replies-${crypto.randomUUID().slice(0, 8)}`;

let rig: BrowserRig;
let pages: Pages;
let redis: RedisServer;
let postern: Postern;
beforeAll(async () => {
  redis = await startRedis();
  rig = await BrowserRig.start((origin) => {
    const origins = `origins: ['${origin}']`;
    return {
      yaml: `
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${redis.url}', timeout: 500ms }, outage: refuse }
gateway:
  limits: { body: 100kB, requests: 4, bodyTime: 1m }
sources:
  s: { protocol: events, topic: ${prefix}.s, id: [/id], schema: view, ${origins} }
  locked: { protocol: events, topic: ${prefix}.locked, id: [/id], keys: [key-one], ${origins} }
  slow: { protocol: events, topic: ${prefix}.slow, id: [/id], rate: { events: 1 }, ${origins} }
  images: { protocol: events, topic: ${prefix}.images, id: [/id], keys: [pixel-key], ${origins} }
`,
      schemas: { view: { type: 'object', properties: { page: { type: 'string' } } } },
    };
  });
  ({ pages, postern } = rig);
});
afterAll(async () => {
  await rig.stop('SIGKILL');
  await redis.stop();
});

const open = (url: string): Promise<Page> => rig.open(url);

describe('C17 what a page of a listed origin reads of each refusal', () => {
  let page: Page;
  beforeAll(async () => {
    page = await open(pages.origin);
  });
  const seen = (path: string, body: string, headers?: Record<string, string>) =>
    page.evaluate(ask, { url: `${postern.url}${path}`, body, ...(headers ? { headers } : {}) });

  it('C17 400, 401, 404, 405, 413, 415, 422', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const problem = (status: number, code: string) => ({ status, same: true, code, told: true, wait: null });
    expect(await seen('/events/s', '{')).toEqual(problem(400, 'not_json'));
    expect(await seen('/events/locked', '{"id":"a"}')).toEqual(problem(401, 'unauthorized'));
    expect(await seen('/events/locked?key=no', '{"id":"a"}')).toEqual(problem(401, 'unauthorized'));
    expect(await seen('/events/nowhere', '{"id":"a"}')).toEqual(problem(404, 'not_found'));
    expect(await seen('/nowhere', '{"id":"a"}')).toEqual(problem(404, 'not_found'));
    expect(await seen('/pixels/s', '{"id":"a"}')).toEqual(problem(405, 'method_not_allowed'));
    expect(await seen('/events/s', 'x'.repeat(100_001))).toEqual(problem(413, 'body_too_large'));
    expect(await seen('/events/s', 'id=a', form)).toEqual(problem(415, 'unsupported_type'));
    const rejected = { status: 422, same: true, told: false, wait: null };
    expect(await seen('/events/s', '{}')).toEqual({ ...rejected, code: 'id_missing' });
    expect(await seen('/events/s', '{"id":"a","page":1}')).toEqual({ ...rejected, code: 'schema_mismatch' });
    expect(await readTopic(brokers, `${prefix}.s`)).toEqual([]);
    expect(await readTopic(brokers, `${prefix}.locked`)).toEqual([]);
  });

  it('C17 503 with Retry-After while there is no room', async () => {
    const head = `POST /events/s HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 99999\r\n\r\n`;
    const { port } = new URL(postern.url);
    // Of four requests one address may have one. A body that stops coming would give way to another.
    const hold = connect(Number(port), '127.0.0.1');
    hold.write(head);
    const sending = setInterval(() => hold.write(' '.repeat(2_000)), 50);
    const buffered = async () => {
      const text = await (await fetch(`${postern.admin}/metrics`)).text();
      return Number(/^postern_buffered_bytes (\S+)$/m.exec(text)?.[1]);
    };
    await expect.poll(buffered).toBeGreaterThan(0);
    expect(await seen('/events/s', '{"id":"b"}')).toEqual({
      status: 503,
      same: true,
      code: 'overloaded',
      told: true,
      wait: '1',
    });
    clearInterval(sending);
    hold.destroy();
    await once(hold, 'close');
    await expect.poll(buffered).toBe(0);
    expect(await readTopic(brokers, `${prefix}.s`)).toEqual([]);
  });

  it('C17 500 when something throws, inside the journey and outside of it', async () => {
    const text = `
log: { embedded: {} }
dedupe: { embedded: {} }
sources: { s: { protocol: events, topic: s, id: [/id], origins: ['${pages.origin}'] } }
`;
    const { config } = readConfig(text, {}, { file: 'test.yaml' });
    let thrown = 0;
    const fail = (): never => {
      thrown++;
      throw new Error('a fault of ours');
    };
    const platform = nodePlatform();
    const broken = (part: 'schemas' | 'report') =>
      makeGateway({
        config: config!,
        schemas: fail,
        log: { append: fail },
        dedupe: { claim: fail, confirm: fail, release: fail, close: fail },
        limiter: null,
        platform,
        report: part === 'report' ? fail : () => {},
      }).app;
    for (const part of ['schemas', 'report'] as const) {
      const app = broken(part);
      const listener = await listen({
        address: { host: '127.0.0.1', port: 0 },
        keepAlive: 60_000,
        maxHeaders: 100,
        connections: { headTime: 10_000, total: 100, perAddress: 100, isExempt: () => false },
        fetch: (request, env) => app.fetch(request, env),
      });
      thrown = 0;
      const url = `http://127.0.0.1:${listener.port}/events/s`;
      expect([part, await page.evaluate(ask, { url, body: '{"id":"a"}' })]).toEqual([
        part,
        { status: 500, same: true, code: 'internal', told: true, wait: null },
      ]);
      expect(thrown).toBeGreaterThan(0);
      listener.destroy();
      await listener.close();
    }
    platform.stop();
  });

  it('C17 429 with Retry-After over the rate', async () => {
    const url = `${postern.url}/events/slow`;
    const replies = await page.evaluate(async (target) => {
      const list: { status: number; wait: string | null; code: string }[] = [];
      for (let n = 0; n < 50 && list.at(-1)?.status !== 429; n++) {
        const body = JSON.stringify([{ id: `${n}.0` }, { id: `${n}.1` }]);
        const reply = await fetch(target, { method: 'POST', credentials: 'include', body });
        const { type } = (await reply.json()) as { type?: string };
        list.push({ status: reply.status, wait: reply.headers.get('retry-after'), code: String(type) });
      }
      return list;
    }, url);
    const { status, wait, code } = replies.at(-1)!;
    expect([status, code]).toEqual([429, 'urn:postern:problem:rate_limited']);
    expect(Number(wait)).toBeGreaterThan(0);
    const taken = replies.filter((reply) => reply.status === 202).length * 2;
    expect(await readTopic(brokers, `${prefix}.slow`)).toHaveLength(taken);
  });
});

describe('pixels', () => {
  const url = (query: string) => `${postern.url}/pixels/images?${query}`;

  it('an image loads when its event is stored, and only then', async () => {
    pages.put('/isolated', '<!doctype html><title>isolated</title>', {
      'cross-origin-embedder-policy': 'require-corp',
      'cross-origin-opener-policy': 'same-origin',
    });
    const [page, isolated] = [await open(pages.origin), await open(`${pages.origin}/isolated`)];
    const show = (on: Page, query: string, policy = '') =>
      on.evaluate(showImage, { url: url(query), policy });
    expect(await show(page, 'key=pixel-key&id=1&page=%2Fcart&title=Caf%C3%A9+%26+bar')).toBe('load');
    expect(await show(isolated, 'key=pixel-key&id=2')).toBe('load');
    expect(await show(page, 'key=pixel-key&note=no+id')).toBe('load');
    expect(await show(page, 'key=pixel-key&note=no+id&n=2')).toBe('load');
    expect(await show(page, 'key=wrong&id=3')).toBe('error');
    expect(await show(page, 'id=4')).toBe('error');
    const records = await readTopic(brokers, `${prefix}.images`);
    expect(records.map((record) => record.value!.toString()).sort()).toEqual([
      '{"id":"1","page":"/cart","title":"Café & bar"}',
      '{"id":"2"}',
      '{"note":"no id","n":"2"}',
      '{"note":"no id"}',
    ]);
    expect(new Set(records.map((record) => record.headers.ce_id)).size).toBe(4);
  });

  it('an image of a page elsewhere stores nothing, though it sends no Origin and may hide its Referer', async () => {
    const before = await readTopic(brokers, `${prefix}.images`);
    const stranger = await open(pages.stranger);
    for (const policy of ['', 'no-referrer', 'unsafe-url'])
      expect(await stranger.evaluate(showImage, { url: url('key=pixel-key&id=9'), policy })).toBe('error');
    const page = await open(pages.origin);
    expect(await page.evaluate(showImage, { url: url('key=pixel-key&id=9'), policy: 'no-referrer' })).toBe(
      'error',
    );
    expect(await answeredOf(postern.admin, 'images', 403)).toBe(4);
    expect(await readTopic(brokers, `${prefix}.images`)).toHaveLength(before.length);
  });
});

describe('with Redis gone', () => {
  it('C17 503 with Retry-After, for beacon and image alike', async () => {
    await redis.stop();
    const page = await open(pages.origin);
    const reply = await page.evaluate(ask, { url: `${postern.url}/events/s`, body: '{"id":"c"}' });
    expect(reply).toEqual({ status: 503, same: true, code: 'dedupe_unavailable', told: false, wait: '2' });
    const address = `${postern.url}/pixels/images?key=pixel-key&id=c`;
    expect(await page.evaluate(showImage, { url: address, policy: '' })).toBe('error');
    expect(await readTopic(brokers, `${prefix}.s`)).toEqual([]);
  });
});
