import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { conclude, reasonOf } from '../../src/function/answer.ts';
import { stored } from '../dispatcher/records.ts';
import { call, invoker, serve } from './calls.ts';

const batch = ['a', 'b', 'c'].map((id, i) => stored('1', { ce_id: id }, { offset: 100 + i }));
const JSON_TYPE = { 'content-type': 'application/json' };
const MiB = 1024 * 1024;

/** A function whose only answer is this. */
async function answering(
  status: number,
  headers: Record<string, string>,
  body: string | Buffer = '',
): Promise<string> {
  const server = await serve((request, response) => {
    request.resume();
    response.writeHead(status, headers).end(body);
  });
  return server.url;
}

describe('C57 what a batch function answers', () => {
  const answerTo = async (body: string | Buffer, headers: Record<string, string> = JSON_TYPE, status = 200) =>
    call(invoker(await answering(status, headers, body), { mode: 'batch' }), batch);

  test('C57 tells which events failed', async () => {
    const list =
      '{"batchItemFailures":[{"itemIdentifier":{"partition":"orders-0","offset":101}},{"itemIdentifier":"c"}]}';
    for (const status of [200, 201, 202]) {
      const answer = await answerTo(list, JSON_TYPE, status);
      expect(answer).toMatchObject({ status, fault: null, failed: [1, 2], reply: null });
      expect(conclude(answer)).toBe('done');
    }
    // Many say nothing of the type.
    for (const headers of [
      {},
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/problem+json' },
    ])
      expect(await answerTo(list, headers)).toMatchObject({ fault: null, failed: [1, 2] });
  });

  test('C57 a text, an empty answer or an empty list is a success', async () => {
    const text = { 'content-type': 'text/html' };
    for (const [body, headers] of [
      ['', JSON_TYPE],
      [' \n', JSON_TYPE],
      ['OK', text],
      ['{not JSON', text],
      ['OK', {}],
      [Buffer.from([0xff, 0x00, 0x80]), { 'content-type': 'application/octet-stream' }],
      ['{}', JSON_TYPE],
      ['null', JSON_TYPE],
      ['"OK"', JSON_TYPE],
      ['{"batchItemFailures":[]}', JSON_TYPE],
      ['{"batchItemFailures":null}', JSON_TYPE],
    ] as [string | Buffer, Record<string, string>][])
      expect([body, await answerTo(body, headers)]).toMatchObject([
        body,
        { status: 200, fault: null, failed: null },
      ]);
    expect(await answerTo('', {}, 204)).toMatchObject({ status: 204, fault: null, failed: null });
  });

  test('C57 what cannot be understood fails the whole batch, which is tried again', async () => {
    for (const [body, headers] of [
      ['{not JSON', JSON_TYPE],
      ['{"batchItemFailures":[{"itemIdentifier":"c"}', JSON_TYPE],
      ['{"batchItemFailures":[{"itemIdentifier":"c"}', {}],
      [Buffer.from('{"batchItemFailures":[]}', 'utf16le'), JSON_TYPE],
      ['{"batchItemFailures":["c"]}', JSON_TYPE],
      ['{"batchItemFailures":[{"itemIdentifier":""}]}', JSON_TYPE],
      ['{"batchItemFailures":[{"itemIdentifier":"nobody"}]}', JSON_TYPE],
    ] as [string | Buffer, Record<string, string>][]) {
      const answer = await answerTo(body, headers);
      expect(answer).toMatchObject({ status: 200, fault: 'bad_reply', failed: null });
      expect([conclude(answer), reasonOf(answer)]).toEqual(['retry', 'bad_reply']);
      expect(answer.detail).toMatch(/^HTTP 200, but its list of failures is not understood: /);
    }
  });

  test('C57 a long list counts up to 1 MiB; cut off it counts as lost, a long text does not', async () => {
    const item = '{"itemIdentifier":"a"}';
    const list = (length: number) => `{"batchItemFailures":[${Array.from({ length }, () => item).join()}]}`;
    expect(await answerTo(list(40_000))).toMatchObject({ fault: null, failed: [0] });
    expect(await answerTo(list(60_000))).toMatchObject({ status: 200, fault: 'bad_reply' });
    expect(await answerTo(list(60_000), {})).toMatchObject({ status: 200, fault: 'bad_reply' });
    const text = { 'content-type': 'text/plain' };
    expect(await answerTo('x'.repeat(3 * MiB), text)).toMatchObject({
      status: 200,
      fault: null,
      failed: null,
    });
  });

  test('C57 of one event per call the answer is not read', async () => {
    const url = await answering(200, JSON_TYPE, '{"batchItemFailures":[{"itemIdentifier":"a"}]}');
    expect(await call(invoker(url), [batch[0]!])).toMatchObject({ status: 200, fault: null, failed: null });
  });
});

describe('events in answers', () => {
  const event = { 'ce-specversion': '1.0', 'ce-id': 'r', 'ce-source': '/f', 'ce-type': 't' };
  const structured = { 'content-type': 'application/cloudevents+json' };

  async function answerTo(
    status: number,
    headers: Record<string, string>,
    body: string | Buffer = '{"a":1}',
    wantsReply = true,
  ) {
    const url = await answering(status, headers, body);
    return call(invoker(url, {}, { wantsReply }), [batch[0]!]);
  }

  test('are asked for as Knative does, and only by subscriptions with a reply topic', async () => {
    const seen: IncomingMessage[] = [];
    const server = await serve((request: IncomingMessage, response: ServerResponse) => {
      seen.push(request);
      response.end();
    });
    for (const wantsReply of [true, false]) await call(invoker(server.url, {}, { wantsReply }), [batch[0]!]);
    const configured = invoker(server.url, { headers: { Prefer: 'respond-async' } }, { wantsReply: true });
    await call(configured, [batch[0]!]);
    expect(seen.map(({ headers }) => headers.prefer)).toEqual(['reply', undefined, 'respond-async']);
  });

  test('are given on with their headers', async () => {
    const answer = await answerTo(200, { ...event, ...JSON_TYPE });
    expect(answer).toMatchObject({
      status: 200,
      fault: null,
      reply: { headers: { ...event, ...JSON_TYPE } },
    });
    expect(answer.reply!.body.toString()).toBe('{"a":1}');
    expect((await answerTo(200, structured, '{}')).reply!.body.toString()).toBe('{}');
    expect((await answerTo(201, structured, '{}')).reply!.body.toString()).toBe('{}');
    // An event without data.
    expect((await answerTo(200, event, '')).reply!.body.length).toBe(0);
  });

  test('are not looked for elsewhere: a 202 or 204 holds none, nor does what is no event', async () => {
    for (const [status, headers] of [
      [202, { ...event, ...JSON_TYPE }],
      [204, event],
      [200, JSON_TYPE],
      [200, { 'content-type': 'text/plain' }],
    ] as [number, Record<string, string>][])
      expect(await answerTo(status, headers)).toMatchObject({ status, fault: null, reply: null });
    expect(await answerTo(500, event)).toMatchObject({ status: 500, reply: null });
    expect(await answerTo(200, event, '1', false)).toMatchObject({ status: 200, reply: null });
  });

  test('have up to 1 MiB; a larger one is refused, as it would be lost', async () => {
    const most = await answerTo(200, structured, Buffer.alloc(MiB, 0x20));
    expect(most.reply!.body.length).toBe(MiB);
    const answer = await answerTo(200, structured, Buffer.alloc(MiB + 1, 0x20));
    expect(answer).toMatchObject({ status: 200, fault: 'too_large', reply: null });
    expect([conclude(answer), reasonOf(answer)]).toEqual(['refused', 'too_large']);
    // What is no event may be as long as it likes.
    expect(await answerTo(200, JSON_TYPE, Buffer.alloc(2 * MiB))).toMatchObject({ status: 200, fault: null });
  });
});

describe('what is kept of a failure', () => {
  const failing = async (body: string | Buffer, http = {}) =>
    (await call(invoker(await answering(500, {}, body), http), [batch[0]!])).detail;

  test('is the first KiB, in whole characters', async () => {
    expect(await failing('')).toBe('HTTP 500');
    expect(await failing('because')).toBe('HTTP 500: because');
    expect(await failing('x'.repeat(5_000))).toBe(`HTTP 500: ${'x'.repeat(1024)}`);
    expect(await failing(`y${'€'.repeat(1_000)}`)).toBe(`HTTP 500: y${'€'.repeat(341)}`);
    expect(await failing('z'.repeat(300_000))).toBe(`HTTP 500: ${'z'.repeat(1024)}`);
  });

  test('comes together from pieces', async () => {
    const server = await serve((_, response) => {
      response.writeHead(400).flushHeaders();
      response.write('one, ');
      setImmediate(() => response.end('two'));
    });
    expect((await call(invoker(server.url), [batch[0]!])).detail).toBe('HTTP 400: one, two');
  });

  test('C59 holds none of our secrets, though a function repeats them', async () => {
    const secret = 'p4ss/word+of=mine';
    for (const http of [
      { auth: { bearer: secret } },
      { auth: { basic: { user: 'me', password: secret } } },
      { auth: { azureKey: secret } },
      { headers: { 'x-api-key': secret } },
    ]) {
      const server = await serve((request, response) => {
        const padding = 'x'.repeat(Number(request.headers['ce-padding']));
        response.writeHead(400).end(`${padding}${JSON.stringify(request.headers)} ${secret}`);
      });
      for (const padding of ['0', '900', '1000', '1015', '1020']) {
        const record = stored('1', { ce_padding: padding });
        const { detail } = await call(invoker(server.url, http), [record]);
        expect(detail).not.toContain(secret.slice(0, 8));
        expect(detail).not.toContain(Buffer.from(`me:${secret}`).toString('base64').slice(0, 12));
        if (padding === '0') expect(detail).toContain('***');
      }
    }
  });
});
