import type { IncomingMessage } from 'node:http';
import { type CloudEvent, HTTP } from 'cloudevents';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { headerText } from '../../src/cloudevents/record.ts';
import type { LogRecord } from '../../src/ports/event-log.ts';
import { eventRecord, numbered, Rig, subscription } from '../dispatcher/rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(() => rig.close());

const sorted = (ids: string[]) => [...ids].sort();
const LARGE = { events: 10, wait: 30, size: 1_000_000 };

describe('a receiver made with the CloudEvents SDK', () => {
  const records: LogRecord[] = [
    eventRecord('json', '{"text":"grün 😀","list":[1,2.5,null]}'),
    { ...eventRecord('text', 'a text, grün'), key: null },
    { ...eventRecord('bytes', ''), value: Buffer.from([0xff, 0x00, 0x80]) },
    { ...eventRecord('nothing', ''), value: null },
  ];
  records[1]!.headers['content-type'] = 'text/plain';
  records[2]!.headers['content-type'] = 'application/octet-stream';
  records[0]!.headers.ce_tenant = 'acme';
  records[0]!.headers.ce_time = '2024-01-02T03:04:05.678Z';

  async function received(
    mode: 'binary' | 'structured' | 'batch',
  ): Promise<Map<string, CloudEvent<unknown>>> {
    const events = new Map<string, CloudEvent<unknown>>();
    const target = await rig.function(({ request, body }, response) => {
      const headers = request.headers as Record<string, string>;
      const found = HTTP.toEvent<unknown>({ headers, body });
      for (const event of [found].flat() as CloudEvent<unknown>[]) {
        event.validate();
        events.set(event.id, event);
      }
      response.writeHead(204).end();
    });
    const verdicts = await rig.log.append(records);
    expect(verdicts).toEqual(records.map(() => 'stored'));
    await rig.start([subscription(target, { mode, batch: LARGE })]);
    await rig.facts.until(() => rig.facts.events('delivered') === records.length);
    return events;
  }

  const same = { specversion: '1.0', source: '/shop', type: 'shop.order' };

  test('reads events in structured mode, and batches', async () => {
    for (const mode of ['structured', 'batch'] as const) {
      if (mode === 'batch') {
        await rig.close();
        rig = new Rig();
        await rig.open();
      }
      const events = await received(mode);
      expect(events.get('json')).toMatchObject({
        ...same,
        tenant: 'acme',
        time: '2024-01-02T03:04:05.678Z',
        datacontenttype: 'application/json',
        data: { text: 'grün 😀', list: [1, 2.5, null] },
      });
      expect(events.get('text')).toMatchObject({ ...same, data: 'a text, grün' });
      expect(events.get('bytes')).toMatchObject({ ...same, data_base64: '/wCA' });
      expect(events.get('nothing')!.data).toBeUndefined();
    }
  });

  test('reads events in binary mode', async () => {
    const events = await received('binary');
    expect(events.get('json')).toMatchObject({
      ...same,
      tenant: 'acme',
      time: '2024-01-02T03:04:05.678Z',
      data: { text: 'grün 😀', list: [1, 2.5, null] },
    });
    expect(events.get('text')).toMatchObject({ ...same, data: 'a text, grün' });
    expect([...events.keys()].sort()).toEqual(['bytes', 'json', 'nothing', 'text']);
  });
});

describe('a plain server that takes batches', () => {
  const idsOf = (body: string): string[] => (JSON.parse(body) as { id: string }[]).map(({ id }) => id);
  const answerWith = (failed: unknown[]) =>
    JSON.stringify({ batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) });

  test('C57 what it lists as failed comes again, alone, until it is given up', async () => {
    const calls: string[][] = [];
    const target = await rig.function(({ body }, response) => {
      const ids = idsOf(body);
      calls.push(ids);
      const failed = ids.filter(
        (id) => id === 'e7' || (id === 'e3' && calls.flat().filter((x) => x === id).length < 2),
      );
      response.setHeader('content-type', 'application/json').end(answerWith(failed));
    });
    await rig.append(numbered(20));
    await rig.start([
      subscription(target, { mode: 'batch', batch: { ...LARGE, wait: 1_000 }, concurrency: 1 }),
    ]);
    await rig.facts.until(
      () => rig.facts.events('delivered') === 19 && rig.facts.events('dead_letter') === 1,
    );
    const count = (id: string) => calls.flat().filter((one) => one === id).length;
    expect(numbered(20).map(count)).toEqual(
      numbered(20).map((id) => (id === 'e7' ? 3 : id === 'e3' ? 2 : 1)),
    );
    const [dead] = await rig.read('mail.dead', 1);
    expect(headerText(dead!, 'ce_id')).toBe('e7');
    expect(headerText(dead!, 'postern_attempts')).toBe('3');
  });

  test('C57 partitions and offsets name events too', async () => {
    const calls: string[][] = [];
    const target = await rig.function(({ body }, response) => {
      calls.push(idsOf(body));
      const failed = calls.length === 1 ? [{ partition: 'orders-0', offset: 4 }] : [];
      response.end(answerWith(failed));
    });
    await rig.append(numbered(10));
    await rig.start([subscription(target, { mode: 'batch', batch: { ...LARGE, wait: 1_000 } })]);
    await rig.facts.until(() => rig.facts.events('delivered') === 10);
    expect(calls[1]).toEqual([calls[0]![4]]);
  });

  test('C57 a list that is not understood is no success of any event', async () => {
    let calls = 0;
    const delivered: string[] = [];
    const target = await rig.function(({ body }, response) => {
      if (++calls === 1) return response.end(answerWith(['nobody']));
      delivered.push(...idsOf(body));
      return response.end('{}');
    });
    await rig.append(numbered(10));
    await rig.start([
      subscription(target, { mode: 'batch', batch: { ...LARGE, wait: 1_000 }, concurrency: 1 }),
    ]);
    await rig.facts.until(() => rig.facts.events('delivered') === 10);
    expect(sorted(delivered)).toEqual(numbered(10));
    expect(rig.facts.reasons('retry')).toEqual(['bad_reply']);
  });

  test('throttling, errors and lost connections lose nothing', async () => {
    const done: string[] = [];
    let calls = 0;
    const target = await rig.function(({ body }, response) => {
      calls++;
      if (calls % 7 === 1) return response.writeHead(429, { 'retry-after': '0' }).end();
      if (calls % 7 === 3) return response.writeHead(503).end('busy');
      if (calls % 7 === 5) return response.destroy();
      done.push(...idsOf(body));
      return response.end('OK');
    });
    const ids = numbered(300);
    await rig.append(ids);
    const retry = { attempts: 50, min: 1, max: 5 };
    await rig.start([subscription(target, { mode: 'batch', batch: LARGE, retry })]);
    await rig.facts.until(() => rig.facts.events('delivered') === ids.length);
    expect(sorted([...new Set(done)])).toEqual(sorted(ids));
    expect(rig.facts.events('dead_letter')).toBe(0);
  });
});

describe('a function with the manners of Knative', () => {
  test('is called again after 404, 408, 409, 429 and 5xx, and not after other 4xx', async () => {
    const again = [404, 408, 409, 425, 429, 500, 502, 503, 504];
    const never = [400, 401, 403, 405, 410, 413, 415, 422];
    const counts = new Map<string, number>();
    const target = await rig.function(({ id }, response) => {
      const count = (counts.get(id) ?? 0) + 1;
      counts.set(id, count);
      response.writeHead(count === 1 ? Number(id) : 200).end();
    });
    await rig.append([...again, ...never].map(String));
    // One after the other, so that a failure is that of its event alone.
    await rig.start([subscription(target, { concurrency: 1, retry: { attempts: 20, min: 1, max: 5 } })]);
    await rig.facts.until(
      () =>
        rig.facts.events('delivered') === again.length && rig.facts.events('dead_letter') === never.length,
    );
    for (const status of again) expect([status, counts.get(String(status))]).toEqual([status, 2]);
    for (const status of never) expect([status, counts.get(String(status))]).toEqual([status, 1]);
  });

  test('gets Prefer: reply and may answer with an event; what it says with a 202 is none', async () => {
    const requests: IncomingMessage[] = [];
    const target = await rig.function(({ id, request }, response) => {
      requests.push(request);
      response.writeHead(id === 'later' ? 202 : 200, {
        'ce-specversion': '1.0',
        'ce-id': `reply-to-${id}`,
        'ce-source': '/function',
        'ce-type': 'answer',
        'content-type': 'application/json',
      });
      response.end('{"ok":true}');
    });
    await rig.append(['later', 'now']);
    await rig.start([subscription(target, { reply: 'answers', concurrency: 1 })]);
    await rig.facts.until(() => rig.facts.events('delivered') === 2);
    expect(requests.map(({ headers }) => headers.prefer)).toEqual(['reply', 'reply']);
    const answers = await rig.read('answers', 1);
    expect(answers.map((record) => headerText(record, 'ce_id'))).toEqual(['reply-to-now']);
    expect(Buffer.from(answers[0]!.value!).toString()).toBe('{"ok":true}');
  });
});
