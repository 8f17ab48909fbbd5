import { createHmac, randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { expect, test } from 'vitest';
import type { HttpFunction } from '../../src/config/function/types.ts';
import { bodyOf } from '../dispatcher/functions.ts';
import { stored } from '../dispatcher/records.ts';
import { call, invoker, serve } from './calls.ts';

const secret = () => `whsec_${randomBytes(32).toString('base64')}`;
const NAMES = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const;
type Signed = { headers: Record<(typeof NAMES)[number], string>; body: Buffer };

async function receiver(): Promise<{ url: string; seen: Signed[] }> {
  const seen: Signed[] = [];
  const server = await serve(async (request, response) => {
    const headers = Object.fromEntries(NAMES.map((name) => [name, request.headers[name]]));
    seen.push({ headers: headers as Signed['headers'], body: await bodyOf(request) });
    response.end();
  });
  return { url: server.url, seen };
}

const records = [
  stored('{"text":"grün 😀", "n": 12345678901234567890}', { ce_id: 'a.b' }),
  stored('plain', { ce_id: 'c', 'content-type': 'text/plain' }),
];

test('calls are signed in each mode, with each secret, as two libraries verify', async () => {
  const secrets = [secret(), secret()];
  for (const mode of ['binary', 'structured', 'batch'] as HttpFunction['mode'][]) {
    const { url, seen } = await receiver();
    const target = invoker(url, { mode, sign: secrets });
    await call(target, mode === 'batch' ? records : [records[0]!]);
    const { headers, body } = seen[0]!;
    for (const one of secrets) {
      expect(new Webhook(one).verify(body.toString(), headers)).toEqual(JSON.parse(body.toString()));
      expect(new SvixWebhook(one).verify(body.toString(), headers)).toEqual(JSON.parse(body.toString()));
    }
    expect(() => new Webhook(secret()).verify(body.toString(), headers)).toThrow();
    expect(() => new Webhook(secrets[0]!).verify(`${body} `, headers)).toThrow();
    expect(headers['webhook-signature'].split(' ')).toHaveLength(2);
  }
});

test('the id stays the same over attempts and differs between events; the time is that of the attempt', async () => {
  const { url, seen } = await receiver();
  const one = secret();
  let now = Date.now();
  const single = invoker(url, { sign: [one] }, { now: () => now });
  const batch = invoker(url, { sign: [one], mode: 'batch' }, { now: () => now });
  const other = invoker(url, { sign: [one] }, { subscription: 'other', now: () => now });
  for (let attempt = 0; attempt < 2; attempt++) {
    await call(single, [records[0]!]);
    await call(batch, records);
    now += 90_000;
  }
  await call(single, [records[1]!]);
  await call(batch, [records[0]!]);
  await call(other, [records[0]!]);
  const ids = seen.map(({ headers }) => headers['webhook-id']);
  expect(ids.slice(0, 2)).toEqual(ids.slice(2, 4));
  expect(new Set(ids).size).toBe(5);
  for (const id of ids) expect(id).toMatch(/^[\w-]{43}$/);
  const times = seen.map(({ headers }) => Number(headers['webhook-timestamp']));
  expect(times[2]! - times[0]!).toBe(90);
  for (const { headers, body } of seen)
    new Webhook(one).verify(body.toString(), headers, { jsonParse: false });
});

test('an event without data is signed as an empty body', async () => {
  const { url, seen } = await receiver();
  const one = secret();
  await call(invoker(url, { sign: [one] }), [stored(null)]);
  const { headers, body } = seen[0]!;
  expect(body).toHaveLength(0);
  expect(new Webhook(one).verify('', headers)).toBeUndefined();
});

test('binary data is signed byte for byte', async () => {
  const { url, seen } = await receiver();
  const one = secret();
  const value = Buffer.from([0xff, 0xfe, 0x00, 0x80, 0x0a]);
  await call(invoker(url, { sign: [one] }), [stored(value, { 'content-type': 'image/x' })]);
  const { headers, body } = seen[0]!;
  expect(body).toEqual(value);
  // The libraries only take text; this is their arithmetic over bytes.
  const key = Buffer.from(one.slice('whsec_'.length), 'base64');
  const head = `${headers['webhook-id']}.${headers['webhook-timestamp']}.`;
  const expected = createHmac('sha256', key).update(head).update(value).digest('base64');
  expect(headers['webhook-signature']).toBe(`v1,${expected}`);
});

test('without secrets nothing is signed, and nobody else may set these headers', async () => {
  const { url, seen } = await receiver();
  await call(invoker(url), [records[0]!]);
  expect(Object.values(seen[0]!.headers)).toEqual([undefined, undefined, undefined]);
  for (const name of NAMES) expect(() => invoker(url, { headers: { [name]: 'x' } })).toThrow(TypeError);
});
