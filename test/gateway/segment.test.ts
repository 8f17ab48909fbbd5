import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { type Harness, startGateway } from './harness.ts';

const YAML = `
gateway:
  limits: { body: 200kB, decompressed: 300kB, event: 20kB, batch: 30, depth: 8 }
  cors: { origins: ['https://shop.example'] }
sources:
  web: { protocol: segment, topic: web, keys: [web-key, { id: second, key: web-key-2 }] }
  app: { protocol: segment, topic: app, keys: [app-key], key: /context/device, origins: ['https://app.example'] }
  strict: { protocol: segment, topic: strict, keys: [strict-key], batch: all-or-nothing }
  checked:
    protocol: segment
    topic: checked
    keys: [checked-key]
    schema: { Order Completed: order, segment.identify: person, segment.page: person }
  signed:
    protocol: segment
    topic: signed
    keys: [signed-key]
    verify: { scheme: hmac, secrets: [secret-of-hmac], header: x-mac }
  plain: { protocol: events, topic: plain, keys: [plain-key], id: [/id] }
`;
const SCHEMAS = {
  order: { type: 'object', properties: { properties: { required: ['total'] } } },
  person: { type: 'object', required: ['traits'] },
};

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({ yaml: YAML, schemas: SCHEMAS });
});
afterAll(() => gateway.close());

const basic = (key: string) => `Basic ${Buffer.from(`${key}:`).toString('base64')}`;
type Body = string | Uint8Array<ArrayBuffer>;

function post(path: string, body: Body, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(gateway.url + path, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
}

const send = (path: string, body: Body, key = 'web-key') => post(path, body, { authorization: basic(key) });

interface Verdicts {
  accepted: number;
  duplicates: number;
  rejected: number;
  events: {
    index: number;
    id: string;
    verdict: string;
    changed?: boolean;
    errors?: { code: string; pointer?: string }[];
  }[];
}

/** Asks for a verdict per event. */
async function tell(path: string, body: Body, key = 'web-key'): Promise<Verdicts & { status: number }> {
  const reply = await post(path, body, { authorization: basic(key), prefer: 'return=representation' });
  expect(reply.headers.get('preference-applied')).toBe('return=representation');
  return { ...((await reply.json()) as Verdicts), status: reply.status };
}

const textOf = (bytes: Uint8Array | null | undefined) => (bytes ? Buffer.from(bytes).toString() : null);
const header = (record: StoredRecord, name: string) => textOf(record.headers[name] as Uint8Array | undefined);
const sentOf = (record: StoredRecord) => textOf(record.value)!;
const jsonOf = (record: StoredRecord) => JSON.parse(sentOf(record)) as Record<string, unknown>;

async function stored(topic: string, id: string): Promise<StoredRecord[]> {
  return (await gateway.read(topic)).filter((record) => header(record, 'ce_id') === id);
}

async function one(topic: string, id: string): Promise<StoredRecord> {
  const records = await stored(topic, id);
  expect(records).toHaveLength(1);
  return records[0]!;
}

describe('paths and keys', () => {
  it('takes every call by its name and by its first letter', async () => {
    const needs = { event: 'E', userId: 'u', previousId: 'p', groupId: 'g' };
    const calls = ['identify', 'track', 'page', 'screen', 'group', 'alias'];
    for (const call of calls) {
      for (const name of [call, call[0]!]) {
        const messageId = `path-${name}`;
        const reply = await send(`/v1/${name}`, JSON.stringify({ ...needs, messageId }));
        expect([name, reply.status, await reply.text()]).toEqual([name, 200, '{"success":true}']);
        const record = await one('web', messageId);
        expect([header(record, 'ce_type'), jsonOf(record).type]).toEqual([`segment.${call}`, call]);
      }
    }
    expect((await send('/v1/delete', '{}')).status).toBe(404);
    expect((await fetch(`${gateway.url}/v1/track`)).status).toBe(405);
  });

  it('takes batches on four paths', async () => {
    for (const path of ['/v1/batch', '/v1/b', '/v1/import', '/beacon/v1/batch']) {
      const ids = [1, 2].map((n) => `${path}-${n}`);
      const batch = ids.map((messageId) => ({ type: 'page', userId: 'u', messageId }));
      expect((await send(path, JSON.stringify({ batch }))).status).toBe(200);
      for (const id of ids) expect(header(await one('web', id), 'ce_type')).toBe('segment.page');
    }
  });

  it('finds the source by the key, wherever that is, and says the same of every wrong one', async () => {
    const item = (messageId: string, more = {}) => JSON.stringify({ userId: 'u', messageId, ...more });
    const ways: [string, string, Record<string, string>, object][] = [
      ['basic', '/v1/page', { authorization: basic('app-key') }, {}],
      ['bearer', '/v1/page', { authorization: 'Bearer app-key' }, {}],
      ['header', '/v1/page', { 'x-api-key': 'app-key' }, {}],
      ['query', '/v1/page?writeKey=app-key', {}, {}],
      ['body', '/v1/page', {}, { writeKey: 'app-key' }],
      ['both', '/v1/page', { authorization: basic('app-key') }, { writeKey: 'web-key' }],
      ['empty', '/v1/page', { authorization: basic('') }, { writeKey: 'app-key' }],
    ];
    for (const [way, path, headers, more] of ways) {
      expect([way, (await post(path, item(`key-${way}`, more), headers)).status]).toEqual([way, 200]);
      expect(header(await one('app', `key-${way}`), 'ce_source')).toBe('/segment/app');
    }
    await send('/v1/page', item('second'), 'web-key-2');
    await one('web', 'second');
    expect(gateway.requests.at(-1)).toMatchObject({ source: 'web', who: 'second' });
    const wrong: [string, Record<string, string>, object][] = [
      ['/v1/page', {}, {}],
      ['/v1/page', { authorization: basic('wrong') }, { writeKey: 'web-key' }],
      ['/v1/page', { authorization: 'Bearer plain-key' }, {}],
      ['/v1/page?writeKey=constructor', {}, {}],
      ['/v1/page', {}, { writeKey: 'plain-key' }],
      ...[null, 1, {}, ['web-key'], ''].map((writeKey): [string, Record<string, string>, object] => [
        '/v1/page',
        {},
        { writeKey },
      ]),
    ];
    const texts = new Set<string>();
    for (const [path, headers, more] of wrong) {
      const reply = await post(path, item('wrong', more), headers);
      expect([path, more, reply.status]).toEqual([path, more, 401]);
      texts.add(await reply.text());
    }
    expect(texts.size).toBe(1);
    const inside = await post('/v1/batch', '{"batch":[{"type":"page","userId":"u","writeKey":"web-key"}]}');
    expect(inside.status).toBe(401);
    expect((await send('/v1/page', item('wrong', { writeKey: 'web-key' }), 'wrong')).status).toBe(401);
  });

  it('does not let a key in the body past a signature', async () => {
    const body = '{"userId":"u","messageId":"unsigned","writeKey":"signed-key"}';
    expect((await post('/v1/page', body)).status).toBe(401);
    expect((await send('/v1/page', body, 'signed-key')).status).toBe(401);
    expect(await gateway.read('signed')).toEqual([]);
  });

  it('C16 takes JSON under the types that SDKs send, and compressed', async () => {
    const types = [
      'text/plain',
      'text/plain;charset=UTF-8',
      'application/x-www-form-urlencoded',
      'application/json; charset="utf8"',
    ];
    for (const [index, type] of types.entries()) {
      const body = `\ufeff {"userId":"u","messageId":"type-${index}","writeKey":"web-key"} \n`;
      expect([type, (await post('/v1/i', body, { 'content-type': type })).status]).toEqual([type, 200]);
      expect(sentOf(await one('web', `type-${index}`))).toMatch(/^\{"userId":"u".*\}$/);
    }
    const zipped = new Uint8Array(gzipSync('{"userId":"u","messageId":"zipped","writeKey":"web-key"}'));
    const gzip = { 'content-encoding': 'gzip' };
    expect((await post('/v1/i', zipped, { ...gzip, authorization: 'Bearer web-key' })).status).toBe(200);
    await one('web', 'zipped');
    // What anybody may send is not inflated to look for a key.
    const keyless = await post('/v1/i', zipped, gzip);
    expect([keyless.status, ((await keyless.json()) as { detail: string }).detail]).toEqual([
      401,
      expect.stringMatching(/^a compressed body needs its key in the head/),
    ]);
    expect((await post('/v1/i', '{}', { 'content-type': 'text/plain; charset=utf-16' })).status).toBe(415);
  });
});

describe('bodies', () => {
  const status = async (path: string, body: Body) => (await send(path, body)).status;

  it('C10 answers empty and hostile bodies by what is in them, and keeps the good items', async () => {
    const before = (await gateway.read('web.rejected')).length;
    for (const body of [
      '',
      ' \n',
      '{',
      'x',
      '{"batch":[}',
      '{"batch":[]',
      '{"batch":[]}x',
      '{"batch":[{]}',
    ]) {
      expect([body, await status('/v1/batch', body)]).toEqual([body, 400]);
    }
    for (const body of [
      '{"batch":[],}',
      '{"batch":[] "a":1}',
      '{"batch":[],"a":tru}',
      '{"batch":[{"a":01}]}',
    ]) {
      expect([body, await status('/v1/batch', body)]).toEqual([body, 400]);
    }
    for (const body of ['[]', '"x"', 'null', '1', '{}', '{"batch":null}', '{"batch":{}}', '{"batch":"x"}']) {
      expect([body, await status('/v1/batch', body)]).toEqual([body, 422]);
    }
    for (const body of ['[]', '"x"', 'null', '[{"userId":"u"}]']) {
      expect([body, await status('/v1/identify', body)]).toEqual([body, 422]);
    }
    expect(await status('/v1/batch', '{"batch":[]}')).toBe(200);
    expect(await status('/v1/batch', '{"batch":[ ],"context":null,"sentAt":7,"integrations":[1]}')).toBe(200);
    const body = '{"batch":[null,[],"x",1,{"type":"track","event":"E","userId":"u","messageId":"c10"},{}]}';
    const { status: mixed, rejected, accepted, events } = await tell('/v1/batch', body);
    expect([mixed, rejected, accepted, events.map(({ index }) => index)]).toEqual([
      207,
      5,
      1,
      [0, 1, 2, 3, 5],
    ]);
    expect(events.map(({ errors }) => errors![0]!.code)).toEqual([
      ...['not_an_object', 'not_an_object', 'not_an_object', 'not_an_object', 'bad_segment'],
    ]);
    await one('web', 'c10');
    const kept = (await gateway.read('web.rejected')).slice(before).map(sentOf);
    expect(kept.slice(0, 4)).toEqual(['null', '[]', '"x"', '1']);
  });

  it('keeps bad items of a batch that it answers with success, and stores the others', async () => {
    const batch = [
      { type: 'track', userId: 'u', messageId: 'no-event' },
      { type: 'page', userId: 'u', messageId: 'fine' },
    ];
    const reply = await send('/v1/batch', JSON.stringify({ batch }));
    expect([reply.status, await reply.text()]).toEqual([200, '{"success":true}']);
    expect(gateway.requests.at(-1)!.verdicts).toEqual({ accepted: 1, duplicate: 0, rejected: 1, retry: 0 });
    await one('web', 'fine');
    expect(await stored('web', 'no-event')).toEqual([]);
    const kept = await one('web.rejected', 'no-event');
    expect(header(kept, 'postern_errors')).toContain('#/event');
  });

  it('names what is missing or wrong', async () => {
    const cases: [string, object, string[]][] = [
      ['track', { userId: 'u' }, ['#/event']],
      ['track', { userId: 'u', event: '' }, ['#/event']],
      ['track', { userId: 'u', event: 7 }, ['#/event']],
      ['track', {}, ['#/userId', '#/event']],
      ['identify', { userId: null, anonymousId: '' }, ['#/userId']],
      ['page', { userId: {}, anonymousId: 'a' }, ['#/userId']],
      ['screen', { anonymousId: true }, ['#/anonymousId', '#/userId']],
      ['group', { anonymousId: 'a' }, ['#/groupId']],
      ['alias', { anonymousId: 'a' }, ['#/userId', '#/previousId']],
      ['identify', { userId: 'half \ud83d' }, ['#/userId']],
      ['identify', { userId: 'u', messageId: 7 }, ['#/messageId']],
      ['identify', { userId: 'u', messageId: 'a\u0000b' }, ['#/messageId']],
      ['nothing', { userId: 'u' }, ['#/type']],
      ['toString', { userId: 'u' }, ['#/type']],
    ];
    const batch = cases.map(([type, item]) => ({ type, ...item }));
    const { status: code, events } = await tell('/v1/batch', JSON.stringify({ batch }));
    expect(code).toBe(422);
    for (const [index, [type, item, pointers]] of cases.entries()) {
      const found = events[index]!.errors!.map(({ pointer }) => pointer);
      expect([type, item, found]).toEqual([type, item, pointers]);
    }
    const single = await tell('/v1/track', '{"userId":"u"}');
    expect([single.status, single.events[0]!.errors![0]!.code]).toEqual([422, 'bad_segment']);
  });

  it('holds items to the caps, and a batch to what its context makes of it', async () => {
    const items = (count: number) =>
      JSON.stringify(Array.from({ length: count }, () => ({ type: 'page', userId: 'u' })));
    expect(await status('/v1/batch', `{"batch":${items(31)}}`)).toBe(413);
    const text = 'x'.repeat(19_990);
    const deep = `${'['.repeat(8)}${']'.repeat(8)}`;
    const good = '{"type":"page","userId":"u","messageId":"cap-good"}';
    const bad = [
      `{"type":"page","userId":"u","t":"${text}"}`,
      `{"type":"page","userId":"u","t":"${text}x${text}"}`,
      `{"type":"page","userId":"u","d":${deep}}`,
    ];
    const told = await tell('/v1/batch', `{"batch":[${[good, ...bad]}]}`);
    expect([told.status, told.events.map(({ errors }) => errors![0]!.code)]).toEqual([
      207,
      ['event_too_large', 'event_too_large', 'too_deep'],
    ]);
    const single = await tell('/v1/page', bad[2]!);
    expect([single.status, single.events[0]!.errors![0]!.code]).toEqual([422, 'too_deep']);
    expect((await tell('/v1/page', bad[1]!)).status).toBe(413);
    const large = `{"context":{"t":"${'x'.repeat(15_000)}"},"batch":${items(30)}}`;
    expect(await status('/v1/batch', large)).toBe(413);
    const lent = await tell('/v1/batch', `{"context":{"d":${deep.slice(1, -1)}},"batch":${items(1)}}`);
    expect(lent.events[0]!.errors).toMatchObject([{ code: 'too_deep', pointer: '#/context' }]);
    expect(await status('/v1/batch', `{"other":${deep.replace('[', '[[')},"batch":[]}`)).toBe(400);
    expect(await status('/v1/batch', `{"other":[${deep}],"batch":[]}`)).toBe(422);
    expect(gateway.bufferedBytes()).toBe(0);
    await one('web', 'cap-good');
  });
});

describe('what is stored', () => {
  it('C12 is what was sent, byte for byte, with what is added at its end', async () => {
    const items = [
      '{"type":"track","event":"E","userId":9007199254740993,"messageId":"b1","x":1e400,"y":-0,"z":1.0}',
      '{ "messageId" : "b2" ,\t"type":"identify","userId":"\\u0075","a":1,"a":2,"s":"\\ud83d \\/ é" }',
      '{"type":"page","anonymousId":"a","messageId":"b3","__proto__":{"userId":"admin"},"constructor":1}',
    ];
    expect((await send('/v1/batch', `{ "batch" : [ ${items.join(' ,\n')} ] }`)).status).toBe(200);
    for (const [index, item] of items.entries()) {
      const record = await one('web', `b${index + 1}`);
      const { receivedAt } = jsonOf(record);
      const added = `,"timestamp":"${receivedAt}","receivedAt":"${receivedAt}"}`;
      expect(sentOf(record)).toBe(item.slice(0, -1) + added);
      expect([header(record, 'content-type'), header(record, 'ce_time')]).toEqual([
        'application/json',
        receivedAt,
      ]);
    }
    const first = await one('web', 'b1');
    expect([textOf(first.key), header(first, 'ce_subject')]).toEqual([
      '9007199254740993',
      '9007199254740993',
    ]);
    const third = await one('web', 'b3');
    expect([textOf(third.key), header(third, 'ce_subject')]).toEqual(['a', 'a']);
  });

  it('C11 goes by the member that counts when a name comes twice', async () => {
    const body =
      '{"batch":[],"batch":[{"type":"page","t\\u0079pe":"track","event":"no","event":"E","userId":"u","messageId":"d1","messageId":"d2"}],"writeKey":"wrong","writeKey":"web-key"}';
    expect((await post('/v1/batch', body)).status).toBe(200);
    expect(header(await one('web', 'd2'), 'ce_type')).toBe('segment.track');
    expect(await stored('web', 'd1')).toEqual([]);
  });

  it('has the context of its batch under its own, one level deep', async () => {
    const shared =
      '"context":{"ip":"::1","n":9007199254740993,"library":{"name":"l"}},"integrations":{"All":false,"X":true}';
    const items = [
      '{"type":"page","userId":"u","messageId":"m1"}',
      '{"type":"page","userId":"u","messageId":"m2","context":{"library":{"version":"1"},"n":1},"integrations":{"All":true}}',
      '{"type":"page","userId":"u","messageId":"m3","context":null,"integrations":"none"}',
    ];
    expect((await send('/v1/batch', `{${shared},"batch":[${items}]}`)).status).toBe(200);
    const texts = await Promise.all(['m1', 'm2', 'm3'].map(async (id) => sentOf(await one('web', id))));
    expect(texts[0]).toContain(shared);
    expect(texts[1]).toContain(
      '"context":{"library":{"version":"1"},"n":1,"ip":"::1"},"integrations":{"All":true,"X":true}',
    );
    expect(texts[2]).toContain(
      '"context":{"ip":"::1","n":9007199254740993,"library":{"name":"l"}},"integrations":"none"',
    );
  });

  it('has the time by our clock, and keeps what was sent', async () => {
    const AT = '2026-01-01T00:00:00.000Z';
    const LATER = '2026-01-01T00:00:10.000Z';
    const times: [string, object, (receivedAt: string) => string, unknown][] = [
      ['sent', { timestamp: AT, sentAt: LATER }, (at) => iso(Date.parse(at) - 10_000), AT],
      ['batch', { timestamp: AT }, (at) => iso(Date.parse(at) - 20_000), AT],
      [
        'zone',
        { timestamp: '2026-01-01T02:00:00+02:00', sentAt: LATER },
        (at) => iso(Date.parse(at) - 10_000),
        '2026-01-01T02:00:00+02:00',
      ],
      ['original', { originalTimestamp: AT, sentAt: LATER }, (at) => iso(Date.parse(at) - 10_000), AT],
      [
        'both',
        { originalTimestamp: AT, timestamp: LATER, sentAt: LATER },
        (at) => iso(Date.parse(at) - 10_000),
        AT,
      ],
      [
        'null',
        { originalTimestamp: null, timestamp: AT, sentAt: LATER },
        (at) => iso(Date.parse(at) - 10_000),
        AT,
      ],
      ['none', {}, (at) => at, undefined],
      ['junk', { timestamp: 'yesterday', sentAt: LATER }, (at) => at, 'yesterday'],
      ['number', { timestamp: 1767225600, sentAt: 7 }, (at) => at, 1767225600],
      [
        'far',
        { timestamp: '9999-12-31T00:00:00Z', sentAt: '0001-01-01T00:00:00Z' },
        (at) => at,
        '9999-12-31T00:00:00Z',
      ],
    ];
    const batch = times.map(([id, item]) => ({
      type: 'page',
      userId: 'u',
      messageId: `time-${id}`,
      receivedAt: 'no',
      ...item,
    }));
    const sentAt = '2026-01-01T00:00:20.000Z';
    expect((await send('/v1/batch', JSON.stringify({ batch, sentAt }))).status).toBe(200);
    for (const [id, , expected, original] of times) {
      const record = await one('web', `time-${id}`);
      const { timestamp, originalTimestamp, receivedAt } = jsonOf(record) as Record<string, string>;
      expect(Math.abs(Date.now() - Date.parse(receivedAt!))).toBeLessThan(600_000);
      expect([id, timestamp, originalTimestamp]).toEqual([id, expected(receivedAt!), original]);
      expect(header(record, 'ce_time')).toBe(timestamp);
    }
    const plain = JSON.stringify({ userId: 'u', messageId: 'time-unsent', timestamp: AT });
    await send('/v1/page', plain);
    const unsent = await one('web', 'time-unsent');
    expect(sentOf(unsent)).toBe(
      `${plain.slice(0, -1)},"receivedAt":"${jsonOf(unsent).receivedAt}","type":"page"}`,
    );
  });

  it('has an id, made when there is none, and a key', async () => {
    const before = (await gateway.read('app')).length;
    await send(
      '/v1/batch',
      '{"batch":[{"type":"page","userId":"u","context":{"device":"d1"}},{"type":"page","userId":"u","messageId":null}]}',
      'app-key',
    );
    const records = (await gateway.read('app')).slice(before);
    expect(records.map((record) => [textOf(record.key), header(record, 'ce_subject')])).toEqual([
      ['d1', 'u'],
      [null, 'u'],
    ]);
    for (const record of records) {
      expect(header(record, 'ce_id')).toMatch(/^[0-9a-f-]{36}$/);
      expect(jsonOf(record).messageId).toBe(header(record, 'ce_id'));
    }
    const headers = { authorization: basic('web-key'), 'idempotency-key': 'curl-1' };
    for (let i = 0; i < 2; i++) expect((await post('/v1/page', '{"userId":"u"}', headers)).status).toBe(200);
    await post('/v1/batch', '{"batch":[{"type":"page","userId":"u"},{"type":"page","userId":"u"}]}', headers);
    for (const id of ['curl-1', 'curl-1/0', 'curl-1/1']) await one('web', id);
  });

  it('says the path in its type, whatever the item says', async () => {
    await send('/v1/page', '{"type":"track","userId":"u","messageId":"typed"}');
    expect(sentOf(await one('web', 'typed'))).toMatch(/^\{"type":"page","userId":"u"/);
  });

  it('is stored once however often it is sent, and is not called changed for what was added', async () => {
    const body =
      '{"batch":[{"type":"page","userId":"u","messageId":"twice"},{"type":"page","userId":"u","messageId":"twice"}],"sentAt":"2026-01-01T00:00:00Z"}';
    const first = await tell('/v1/batch', body);
    const second = await tell('/v1/batch', body.replace('2026', '2027'));
    expect([first.status, first.accepted, first.duplicates]).toEqual([200, 1, 1]);
    expect([second.status, second.accepted, second.duplicates]).toEqual([200, 0, 2]);
    expect([...first.events, ...second.events].some(({ changed }) => changed)).toBe(false);
    await one('web', 'twice');
    const other = await tell('/v1/page', '{"userId":"v","messageId":"twice"}');
    expect([other.duplicates, other.events[0]!.changed]).toEqual([1, true]);
  });
});

const iso = (ms: number) => new Date(ms).toISOString();

describe('replies', () => {
  it('C45 an all-or-nothing source stores nothing when one item is bad, and says so', async () => {
    const batch = [{ type: 'page', userId: 'u', messageId: 'aon' }, { type: 'page' }];
    const refused = await send('/v1/batch', JSON.stringify({ batch }), 'strict-key');
    expect([refused.status, ((await refused.json()) as Verdicts).rejected]).toEqual([422, 2]);
    expect((await send('/v1/track', '{"userId":"u"}', 'strict-key')).status).toBe(422);
    expect([await gateway.read('strict'), await gateway.read('strict.rejected')]).toEqual([[], []]);
    expect((await send('/v1/batch', JSON.stringify({ batch: batch.slice(0, 1) }), 'strict-key')).status).toBe(
      200,
    );
    await one('strict', 'aon');
  });

  it('C40 asks for the batch again when an item could not be stored, and takes it then', async () => {
    let broken = true;
    const other = await startGateway({
      yaml: YAML,
      schemas: SCHEMAS,
      wrapLog: (log) => ({
        append: (records) => (broken ? Promise.reject(new Error('no log')) : log.append(records)),
        consume: (...options) => log.consume(...options),
        problem: () => log.problem(),
        close: () => log.close(),
      }),
    });
    const body =
      '{"batch":[{"type":"page","userId":"u","messageId":"again"},{"type":"bad"}],"writeKey":"web-key"}';
    const path = `${other.url}/v1/batch`;
    const first = await fetch(path, { method: 'POST', body });
    expect([first.status, Number(first.headers.get('retry-after')) > 0]).toEqual([503, true]);
    expect(((await first.json()) as { retry: number }).retry).toBe(2);
    broken = false;
    expect((await fetch(path, { method: 'POST', body })).status).toBe(200);
    expect((await other.read('web')).map((record) => header(record, 'ce_id'))).toEqual(['again']);
    await other.close();
  });

  it('checks an event by the schema of its name, else of its type, and takes no others', async () => {
    const batch = [
      { type: 'track', event: 'Order Completed', properties: { total: 1 }, messageId: 's0' },
      { type: 'track', event: 'Order Completed', properties: {}, messageId: 's1' },
      { type: 'identify', traits: {}, messageId: 's2' },
      { type: 'identify', messageId: 's3' },
      { type: 'track', event: 'Other', messageId: 's4' },
      { type: 'track', event: 'constructor', messageId: 's5' },
      { type: 'page', event: 'Order Completed', traits: {}, messageId: 's6' },
    ].map((item) => ({ ...item, userId: 'u' }));
    const { events, accepted } = await tell('/v1/batch', JSON.stringify({ batch }), 'checked-key');
    expect([accepted, events.map(({ id, errors }) => `${id} ${errors![0]!.code}`)]).toEqual([
      3,
      ['s1 schema_mismatch', 's3 schema_mismatch', 's4 schema_unknown', 's5 schema_unknown'],
    ]);
  });
});

describe('pages', () => {
  const preflight = async (path: string, origin: string) => {
    const reply = await fetch(gateway.url + path, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    });
    const allowed = reply.headers.get('access-control-allow-headers')?.split(', ') ?? [];
    return {
      origin: reply.headers.get('access-control-allow-origin'),
      allowed,
      age: reply.headers.get('access-control-max-age'),
    };
  };

  it('C16 may send from the origins of any Segment source, with the headers of the SDKs, first try or not', async () => {
    for (const origin of ['https://shop.example', 'https://app.example']) {
      const { allowed, ...rest } = await preflight('/v1/t', origin);
      expect(rest).toEqual({ origin, age: '7200' });
      const sent = [
        'authorization',
        'content-type',
        'anonymousid',
        'sentat',
        'x-retry-count',
        'rsa-retry-attempt',
      ];
      expect(allowed).toEqual(expect.arrayContaining(sent));
    }
    expect((await preflight('/v1/t', 'https://evil.example')).origin).toBeNull();
    const from = (origin: string, writeKey: string) =>
      post('/v1/page', JSON.stringify({ userId: 'u', writeKey }), { origin });
    const own = await from('https://app.example', 'app-key');
    expect([own.status, own.headers.get('access-control-allow-origin')]).toEqual([
      200,
      'https://app.example',
    ]);
    expect((await from('https://shop.example', 'app-key')).status).toBe(403);
    const unknown = await from('https://app.example', 'wrong');
    expect([unknown.status, unknown.headers.get('access-control-allow-origin')]).toEqual([
      401,
      'https://app.example',
    ]);
  });

  it('get the settings that SDKs load first, and only with a key', async () => {
    const get = (path: string, headers: Record<string, string> = {}) =>
      fetch(gateway.url + path, { headers });
    const settings = await get('/v1/projects/web-key/settings', { origin: 'https://shop.example' });
    expect([settings.status, settings.headers.get('access-control-allow-origin')]).toEqual([
      200,
      'https://shop.example',
    ]);
    const apiHost = `${new URL(gateway.url).host}/v1`;
    expect(await settings.json()).toMatchObject({
      integrations: { 'Segment.io': { apiKey: 'web-key', apiHost, protocol: 'https' } },
    });
    const direct = await get('/v1/projects/web-key/settings', {
      'x-forwarded-proto': 'http, https',
      origin: 'https://shop.example',
    });
    expect(
      ((await direct.json()) as { integrations: Record<string, object> }).integrations['Segment.io'],
    ).toMatchObject({ protocol: 'http' });
    for (const [path, headers] of [
      ['/sourceConfig/?writeKey=web-key&p=npm', {}],
      ['/sourceConfig', { authorization: basic('web-key') }],
    ] as const) {
      const config = (await (await get(path, headers)).json()) as { source: object };
      expect(config.source).toMatchObject({ writeKey: 'web-key', enabled: true, destinations: [] });
    }
    for (const path of ['/v1/projects/wrong/settings', '/sourceConfig', '/sourceConfig?writeKey=plain-key']) {
      expect([path, (await get(path)).status]).toEqual([path, 401]);
    }
    expect((await get('/v1/projects/app-key/settings', { origin: 'https://evil.example' })).status).toBe(403);
  });

  it('send calls by an image', async () => {
    const get = (query: string, headers: Record<string, string> = {}) =>
      fetch(`${gateway.url}/pixel/v1/${query}`, { headers });
    const track = await get(
      'track?writeKey=web-key&anonymousId=a&event=Opened%20%C3%A9&properties.a.b=1&properties.a=2&properties.a.c=3&__proto__.x=1&messageId=pixel-1',
    );
    expect([track.status, track.headers.get('content-type'), track.headers.get('cache-control')]).toEqual([
      200,
      'image/gif',
      'no-store',
    ]);
    expect((await track.arrayBuffer()).byteLength).toBe(42);
    const record = await one('web', 'pixel-1');
    expect(jsonOf(record)).toMatchObject({
      type: 'track',
      anonymousId: 'a',
      event: 'Opened é',
      properties: { a: { c: '3' } },
    });
    expect(sentOf(record)).not.toContain('web-key');
    expect(sentOf(record)).toContain('"__proto__":{"x":"1"}');
    expect((await get('page?writeKey=web-key&userId=u&messageId=pixel-2')).status).toBe(200);
    expect(header(await one('web', 'pixel-2'), 'ce_type')).toBe('segment.page');
    expect((await get('page?userId=u')).status).toBe(401);
    expect((await get('page?writeKey=app-key&userId=u', { referer: 'https://evil.example/' })).status).toBe(
      403,
    );
    const deep = Array.from({ length: 40 }, (_, i) => `d${i}`).join('.');
    expect((await get(`page?writeKey=strict-key&userId=u&${deep}=1`)).status).toBe(422);
  });
});

it('counts each item once: received = accepted + duplicate + rejected + retry', async () => {
  const sum = (verdict: 'accepted' | 'rejected') =>
    gateway.requests
      .filter(({ source }) => source === 'web')
      .reduce((total, { verdicts }) => total + verdicts[verdict], 0);
  expect((await gateway.read('web')).length).toBe(sum('accepted'));
  expect((await gateway.read('web.rejected')).length).toBe(sum('rejected'));
  expect(gateway.requests.filter(({ error }) => error === 'internal')).toEqual([]);
});
