import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/read.ts';
import { type Harness, startGateway } from './harness.ts';
import { deviceHeaders, hmac, type Sent } from './signing.ts';

const HMAC = 'verify: { scheme: hmac, secrets: [shared], header: x-mac';
const YAML = `
gateway: { proxies: [127.0.0.1], clientAddress: full }
sources:
  open: { topic: open, id: [/id] }
  plain: { topic: plain }
  shared: { topic: shared, id: [/id], keys: [{ id: a, key: key-a }, { id: b, key: key-b }] }
  apart: { topic: apart, id: [/id], identity: key, keys: [{ id: a, key: key-c }, { id: b/2, key: key-d }] }
  fleet: { topic: fleet, id: [/id], verify: { scheme: device, secrets: [master] } }
  signed: { topic: signed, id: [/id], type: /type, ${HMAC} } }
  digest: { topic: digest, id: content, ${HMAC} } }
  bare: { topic: bare, ${HMAC} } }
  events: { topic: events, ${HMAC}, format: cloudevents } }
  senml: { topic: senml, ${HMAC}, format: senml } }
  lines: { topic: lines, id: [/id], ${HMAC}, format: lines } }
  sdk: { protocol: segment, topic: sdk, keys: [sdk-key] }
  sealed: { protocol: segment, topic: sealed, keys: [sealed-key], ${HMAC} } }
`;

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({ yaml: YAML });
});
afterAll(() => gateway.close());

interface Answer {
  status: number;
  type?: string;
  detail?: string;
  accepted: number;
  duplicates: number;
  rejected: number;
  events: { index: number; id: string; verdict: string; changed?: true; errors?: Sent[] }[];
}

async function post(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Sent = {},
): Promise<Answer> {
  const response = await fetch(gateway.url + path, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { ...((await response.json()) as Answer), status: response.status };
}

interface Stored {
  value: string | null;
  headers: Sent;
}
async function stored(topic: string): Promise<Stored[]> {
  const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString());
  return (await gateway.read(topic)).map(({ value, headers }) => ({
    value: text(value),
    headers: Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, text(bytes)!])),
  }));
}

const STRUCTURED = { 'content-type': 'application/cloudevents+json' };
const BATCH = { 'content-type': 'application/cloudevents-batch+json' };
const NAMES = ['device', 'clientip', 'posternhops', 'dedupe', 'postern', 'posternsource'];
const binary = (id: string, more: Sent = {}) => ({
  'ce-specversion': '1.0',
  'ce-id': id,
  'ce-source': '/c',
  'ce-type': 't',
  ...more,
});
const envelope = (id: string, more: object = {}) =>
  JSON.stringify({ specversion: '1.0', id, source: '/c', type: 't', ...more });

describe('attributes that the gateway vouches for', () => {
  it('are its own: what a client says under their names is nowhere, whatever it is and however it comes', async () => {
    const claims = Object.fromEntries(NAMES.map((name) => [name, '203.0.113.7']));
    const odd = Object.fromEntries(NAMES.map((name) => [name, { a: 1 }]));
    const headers = Object.fromEntries(NAMES.map((name) => [`ce-${name}`, '203.0.113.7']));
    expect((await post('/events/open', '{}', binary('r1', { ...headers, 'ce-mine': 'x' }))).accepted).toBe(1);
    expect((await post('/events/open', envelope('r2', { ...claims, mine: 'x' }), STRUCTURED)).accepted).toBe(
      1,
    );
    expect((await post('/events/open', `[${envelope('r3', { ...odd, mine: 'x' })}]`, BATCH)).accepted).toBe(
      1,
    );
    // Refused events are kept without them, too.
    expect((await post('/events/open', envelope('r4', { ...claims, type: '' }), STRUCTURED)).status).toBe(
      400,
    );
    const events = [...(await stored('open')), ...(await stored('open.rejected'))];
    expect(events).toHaveLength(4);
    for (const { headers } of events) {
      const names = Object.keys(headers).filter((name) => NAMES.includes(name.slice(3)));
      expect([names, headers.ce_clientip]).toEqual([['ce_clientip'], '127.0.0.1']);
    }
    expect(events.slice(0, 3).map(({ headers }) => headers.ce_mine)).toEqual(['x', 'x', 'x']);
  });
});

describe('data that says it is itself a CloudEvent', () => {
  const inner = { specversion: '1.0', id: 'in', source: '/internal/admin', type: 'user.delete' };
  const types = [
    'application/cloudevents+json',
    'Application/CloudEvents+JSON; x=y',
    ' \t\r\napplication/cloudevents+json',
    '\u00a0application/cloudevents',
    'application / cloudevents+json',
    'application/cloudevents-batch+json',
  ];

  it('is refused alone with 415, and in a batch by itself', async () => {
    for (const [index, datacontenttype] of types.entries()) {
      for (const data of [{ data: inner }, { data: JSON.stringify(inner) }, { data_base64: 'e30=' }]) {
        const event = envelope(`claim-${index}`, { datacontenttype, ...data });
        const alone = await post('/events/open', event, STRUCTURED);
        const control = /[\r\n\t]/.test(datacontenttype);
        const code = control ? 'bad_cloudevent' : 'unsupported_type';
        expect([alone.status, alone.events[0]!.errors]).toEqual([
          control ? 400 : 415,
          [expect.objectContaining({ code, pointer: '#/datacontenttype' })],
        ]);
        const mixed = await post('/events/open', `[${event},${envelope('claim-good')}]`, BATCH);
        expect([mixed.status, mixed.rejected, mixed.events[0]!.errors![0]!.code]).toEqual([207, 1, code]);
      }
    }
    for (const { headers } of [...(await stored('open')), ...(await stored('open.rejected'))])
      expect(headers['content-type'] ?? '').not.toMatch(/cloudevents/i);
  });

  it('gets no further as the Content-Type of binary mode', async () => {
    for (const type of types.filter((text) => !/[\r\n]/.test(text))) {
      const reply = await post(
        '/events/open',
        JSON.stringify(inner),
        binary('b-1', { 'content-type': type }),
      );
      // Read as structured mode, the headers count for nothing.
      expect([type, [202, 400, 415].includes(reply.status)]).toEqual([type, true]);
    }
    const kept = (await stored('open')).filter(({ headers }) => headers.ce_id === 'b-1');
    expect(kept).toEqual([]);
  });
});

describe('a source that wants signatures', () => {
  const sign = (body: string) => ({ 'x-mac': hmac('shared', body) });
  const codeOf = ({ status, type, events }: Answer) =>
    `${status} ${type?.split(':').at(-1) ?? events[0]?.errors?.[0]?.code ?? ''}`;

  it('takes nothing from headers that no signature covers', async () => {
    const body = '{"id":"s1","type":"order.paid"}';
    expect((await post('/events/signed', body, sign(body))).accepted).toBe(1);
    const forged = {
      'ce-subject': 'x',
      'ce-partitionkey': 'y',
      ...binary('new', { 'ce-type': 'order.refunded' }),
    };
    expect(await post('/events/signed', body, { ...sign(body), ...forged })).toMatchObject({
      status: 400,
      type: 'urn:postern:problem:bad_cloudevent',
      detail: expect.stringContaining('ce-specversion'),
    });
    for (const name of ['ce-specversion', 'ce-id', 'ce-type'])
      expect(codeOf(await post('/events/signed', body, { ...sign(body), [name]: '1.0' }))).toBe(
        '400 bad_cloudevent',
      );
    const keyed = await post('/events/signed', body, { ...sign(body), 'idempotency-key': 'new' });
    expect([codeOf(keyed), keyed.detail]).toEqual([
      '400 bad_request',
      expect.stringContaining('Idempotency-Key'),
    ]);
    expect(codeOf(await post('/events/bare', body, { ...sign(body), 'idempotency-key': 'new' }))).toBe(
      '400 bad_request',
    );
    expect(codeOf(await post('/events/bare', body, sign(body)))).toBe('422 id_missing');
    expect((await post('/events/signed', body, { ...sign(body), 'ce-subject': 'x' })).duplicates).toBe(1);
    expect((await stored('signed')).map(({ headers }) => headers.ce_type)).toEqual(['order.paid']);
    expect((await stored('signed'))[0]!.headers.ce_subject).toBeUndefined();
    expect(await stored('bare')).toEqual([]);
  });

  it('reads signed bytes in one way, whatever type they are sent under', async () => {
    const types = [
      ...[
        'application/json',
        'text/plain',
        'application/cbor',
        'application/x-ndjson',
        'application/senml+json',
      ],
      ...['application/senml+cbor', 'application/cloudevents+json', 'application/cloudevents-batch+json'],
    ];
    // Each would be an event under more than one type.
    const bodies: [string, string][] = [
      ['digest', '{"id":"t1","type":"a","specversion":"1.0","source":"/s"}\n'],
      [
        'digest',
        '[{"n":"temp","t":1700000000,"v":1,"id":"t2","type":"a","specversion":"1.0","source":"/s"}]',
      ],
      [
        'events',
        '[{"n":"temp","t":1700000000,"v":1,"id":"t3","type":"a","specversion":"1.0","source":"/s"}]',
      ],
      ['events', '{"id":"t4","type":"a","specversion":"1.0","source":"/s"}\n'],
      ['senml', '[{"n":"temp","t":1700000000,"v":1,"id":"t5","type":"a","specversion":"1.0","source":"/s"}]'],
      ['lines', '{"id":"t6","type":"a","specversion":"1.0","source":"/s"}\n'],
    ];
    for (const [source, body] of bodies) {
      const before = (await stored(source)).length;
      let taken = 0;
      for (const type of types) {
        const reply = await post(`/events/${source}`, body, { ...sign(body), 'content-type': type });
        if (reply.status === 202) taken += reply.accepted;
        else expect([source, type, [400, 415].includes(reply.status)]).toEqual([source, type, true]);
      }
      expect([source, taken, (await stored(source)).length - before]).toEqual([source, 1, 1]);
    }
  });

  it('has no pixels, as an address is not signed', async () => {
    for (const path of ['/pixels/signed?id=p1', '/pixel/v1/track?writeKey=sealed-key&userId=u&event=E']) {
      const reply = await fetch(gateway.url + path, { headers: sign('') });
      expect([path, reply.status]).toEqual([path, 405]);
    }
  });

  it('takes the kind of a Segment call from the body alone, and a call that comes again once', async () => {
    const key = { authorization: `Basic ${btoa('sealed-key:')}` };
    const call = (path: string, body: string) =>
      post(path, body, { ...key, ...sign(body), prefer: 'return=representation' });
    const track = '{"type":"track","event":"Paid","userId":"u"}';
    expect((await call('/v1/track', track)).accepted).toBe(1);
    expect((await call('/v1/track', track)).duplicates).toBe(1);
    const other = await call('/v1/identify', track);
    expect([other.status, other.events[0]!.errors![0]!.pointer]).toEqual([422, '#/type']);
    expect((await call('/v1/page', '{"userId":"u","messageId":"untyped"}')).status).toBe(422);
    const keyed = await post('/v1/track', track, { ...key, ...sign(track), 'idempotency-key': 'k' });
    expect(codeOf(keyed)).toBe('400 bad_request');
    expect(await stored('sealed')).toHaveLength(1);
  });

  it('does not let a device send again what it signed long ago, nor another time', async () => {
    const body = '{"id":"d1"}';
    const send = (signed: Sent) => post('/events/fleet', body, signed);
    const now = Math.floor(Date.now() / 1000);
    expect((await send(deviceHeaders('master', 'd-1', body))).accepted).toBe(1);
    expect((await send(deviceHeaders('master', 'd-1', body, now - 3600))).status).toBe(401);
    const renewed = { ...deviceHeaders('master', 'd-1', body, now - 3600), 'x-timestamp': String(now) };
    expect((await send(renewed)).status).toBe(401);
    expect((await stored('fleet')).map(({ headers }) => headers.ce_device)).toEqual(['d-1']);
  });
});

describe('ids', () => {
  const as = (key: string) => ({ 'x-api-key': key });

  it('are those of the source, unless each key has its own', async () => {
    expect((await post('/events/shared', '{"id":"1"}', as('key-a'))).accepted).toBe(1);
    expect((await post('/events/shared', '{"id":"1"}', as('key-b'))).duplicates).toBe(1);
    for (const key of ['key-c', 'key-d']) {
      expect((await post('/events/apart', `{"id":"1","by":"${key}"}`, as(key))).accepted).toBe(1);
      expect((await post('/events/apart', `{"id":"1","by":"${key}"}`, as(key))).duplicates).toBe(1);
    }
    const named = (await stored('apart')).map(({ headers }) => `${headers.ce_source} ${headers.ce_id}`);
    expect(named).toEqual(['/events/apart/a 1', '/events/apart/b%2F2 1']);
  });

  it('of one key cannot be taken by another in a CloudEvent', async () => {
    const event = envelope('ce-1', { source: '/events/apart/a' });
    expect((await post('/events/apart', event, { ...STRUCTURED, ...as('key-d') })).accepted).toBe(1);
    const [last] = (await stored('apart')).slice(-1);
    expect(last!.headers.ce_source).toBe('/events/apart/b%2F2');
    const own = envelope('ce-2', { source: 'https://shop.example' });
    expect((await post('/events/apart', own, { ...STRUCTURED, ...as('key-d') })).accepted).toBe(1);
    expect((await stored('apart')).at(-1)!.headers.ce_source).toBe('https://shop.example');
  });

  it('that come again with another payload get no success', async () => {
    const ids = (answer: Answer) =>
      answer.events.map(({ id, verdict, changed, errors }) => [id, verdict, changed, errors?.[0]?.code]);
    const event = (id: string, more = '') => `{"id":"${id}"${more}}`;
    expect((await post('/events/open', event('u1'))).status).toBe(202);
    const one = await post('/events/open', event('u1', ',"n":2'));
    expect([one.status, one.type, one.duplicates, ids(one)]).toEqual([
      409,
      'urn:postern:problem:id_reused',
      1,
      [['u1', 'duplicate', true, 'id_reused']],
    ]);
    const inOne = await post('/events/open', `[${event('u2')},${event('u2', ',"n":2')},${event('u2')}]`);
    expect([inOne.status, inOne.accepted, ids(inOne)]).toEqual([
      207,
      1,
      [
        ['u2', 'duplicate', true, 'id_reused'],
        ['u2', 'duplicate', undefined, undefined],
      ],
    ]);
    const twice = await post('/events/open', `[${event('u1', ',"n":2')},${event('u1', ',"n":2')}]`);
    expect([twice.status, twice.duplicates, twice.events.map(({ changed }) => changed)]).toEqual([
      409,
      2,
      [true, true],
    ]);
    const same = await post('/events/open', `[${event('u1')},${event('u1', ',"n":2')}]`);
    expect([same.status, same.duplicates]).toEqual([207, 2]);
    const none = await post('/events/open', `[${event('u1', ',"n":3')},{"no":"id"}]`);
    expect([none.status, none.accepted, none.duplicates, none.rejected]).toEqual([422, 0, 1, 1]);
    expect((await post('/events/open', event('u1', ',"n":2'), { prefer: 'return=minimal' })).status).toBe(
      409,
    );
    expect((await stored('open')).filter(({ headers }) => headers.ce_id === 'u1')).toHaveLength(1);
  });

  it('that an SDK or an image uses again are answered as they expect', async () => {
    const call = (n: number) =>
      JSON.stringify({ userId: 'u', event: 'E', messageId: 'again', n, writeKey: 'sdk-key' });
    for (const n of [1, 2]) expect((await post('/v1/track', call(n))).status).toBe(200);
    const told = await post('/v1/track', call(3), { prefer: 'return=representation' });
    expect([told.status, told.events[0]!.changed]).toEqual([409, true]);
    for (const n of [1, 2]) expect((await fetch(`${gateway.url}/pixels/open?id=px&n=${n}`)).status).toBe(200);
  });
});

describe('keys', () => {
  it('are in no event, wherever they were sent', async () => {
    const key = 'sdk-key';
    const item = (id: string) => ({ writeKey: key, type: 'track', event: 'E', userId: 'u', messageId: id });
    const deep = `{"writeKey":"${key}","type":"track","userId":"u","x":${'['.repeat(70)}${']'.repeat(70)}}`;
    const send = (path: string, body: string) => post(path, body, { prefer: 'return=representation' });
    expect((await send('/v1/track', JSON.stringify(item('k1')))).accepted).toBe(1);
    const last = '{"event":"E","userId":"u","messageId":"k2","writeKey":"no","write\\u004bey":"sdk-key" }';
    expect((await send('/v1/track', last)).accepted).toBe(1);
    const batch = { batch: [item('k3'), item('k4')], writeKey: key };
    expect((await send('/v1/batch', JSON.stringify(batch))).accepted).toBe(2);
    expect((await send('/v1/batch', `{"writeKey":"${key}","batch":[${deep},[${deep}]]}`)).rejected).toBe(2);
    expect((await send('/v1/track', deep)).rejected).toBe(1);
    const queries = ['/pixel/v1/track?userId=u&event=E&messageId=k5', '/pixels/open?id=k6'];
    for (const query of queries)
      expect((await fetch(`${gateway.url}${query}&writeKey=${key}`)).status).toBe(200);
    const kept = [];
    for (const topic of ['sdk', 'sdk.rejected', 'open']) kept.push(...(await stored(topic)));
    const values = kept.map(({ value }) => value);
    expect(kept.filter(({ headers }) => /^k[1-6]$/.test(headers.ce_id ?? ''))).toHaveLength(6);
    expect(values.filter((value) => value?.startsWith('{'))).toEqual(
      values.filter((value) => value?.startsWith('{') && JSON.parse(value)),
    );
    expect(JSON.stringify(kept.filter(({ value }) => !value?.startsWith('[')))).not.toMatch(
      /sdk-key|write(?:K|\\\\u004b)ey/,
    );
  });
});

describe('attributes', () => {
  it('have a limit each and all together, and the reply says which is over it', async () => {
    const errorOf = async (more: object) => {
      const { status, events } = await post('/events/open', envelope('big', more), STRUCTURED);
      return [
        status,
        events[0]!.errors!.length,
        events[0]!.errors![0]!.pointer,
        events[0]!.errors![0]!.detail,
      ];
    };
    const many = Object.fromEntries(Array.from({ length: 8000 }, (_, i) => [`a${i}`, 'x']));
    expect(await errorOf(many)).toEqual([400, 1, '#', 'event has 8004 attributes; the limit is 64']);
    const time = `2026-03-01T08:00:00.${'1'.repeat(200_000)}Z`;
    expect(await errorOf({ time })).toEqual([400, 1, '#/time', expect.stringContaining('8192')]);
    expect(await errorOf({ time: `2026-03-01T08:00:00.${'1'.repeat(60)}Z` })).toEqual([
      400,
      1,
      '#/time',
      expect.stringContaining('64 characters'),
    ]);
    expect(await errorOf({ subject: 's'.repeat(8193) })).toEqual([
      400,
      1,
      '#/subject',
      expect.stringContaining('8192'),
    ]);
    expect(await errorOf({ a: 'é'.repeat(700), b: 'é'.repeat(700) })).toEqual([
      400,
      1,
      '#/b',
      expect.stringContaining('8192 bytes as HTTP headers'),
    ]);
    const fits = { a: 'é'.repeat(660), b: 'é'.repeat(660) };
    expect((await post('/events/open', envelope('fits', fits), STRUCTURED)).accepted).toBe(1);
    const most = Math.max(
      ...(await stored('open.rejected')).map(({ headers }) => JSON.stringify(headers).length),
    );
    expect(most).toBeLessThan(16_000);
  });

  it('do not become longer by a time that no clock has', async () => {
    const long = `2026-03-01T08:00:00.${'1'.repeat(100_000)}Z`;
    const call = { userId: 'u', event: 'E', messageId: 'long-time', timestamp: long, writeKey: 'sdk-key' };
    expect((await post('/v1/track', JSON.stringify(call))).status).toBe(200);
    const event = (await stored('sdk')).find(({ headers }) => headers.ce_id === 'long-time')!;
    expect(event.headers.ce_time!.length).toBeLessThan(40);
  });
});

describe('numbers', () => {
  it('that are too far apart are not added, however many there are', async () => {
    const source = '/events/plain';
    const far = Array.from({ length: 2400 }, () => '{"v":1e-308}').join(',');
    const reply = await post(source, `[{"bn":"far","bt":1700000000,"bv":1e308,"v":0},${far}]`, {
      'content-type': 'application/senml+json',
    });
    expect([reply.status, reply.rejected]).toEqual([207, 2400]);
    expect(reply.events[0]!.errors![0]).toMatchObject({ code: 'bad_senml', pointer: '#/v' });
    const alone = await post(
      source,
      '[{"n":"far","t":1700000000,"v":1e-308},{"n":"far","bv":0,"t":1700000001,"v":1e-308}]',
      {
        'content-type': 'application/senml+json',
      },
    );
    expect(alone.accepted).toBe(2);
    const times = await post(source, '[{"n":"late","t":1e308,"v":1},{"n":"late","t":1e-308,"v":1}]', {
      'content-type': 'application/senml+json',
    });
    expect(times.events.map(({ errors }) => errors![0]!.pointer)).toEqual(['#/t', '#/t']);
  });
});

describe('the config', () => {
  const problemsOf = (source: object) => {
    const text = `log: { embedded: {} }\ndedupe: { embedded: {} }\nsources: { s: ${JSON.stringify(source)} }`;
    return readConfig(text, {}, { file: 't.yaml' }).problems.map(
      ({ level, pointer, message }) => `${level} ${pointer} ${message.slice(0, 24)}`,
    );
  };
  const device = { scheme: 'device', secrets: ['a-secret-of-all-devices'] };
  const mac = { scheme: 'hmac', secrets: ['a-secret-of-all-senders'], header: 'x-mac' };

  it('says what identifies nothing, or what anybody can send again', () => {
    const cases: [object, string[]][] = [
      [{ topic: 't', identity: 'key' }, ['error /sources/s/identity key needs keys, jwt, or ']],
      [{ topic: 't', identity: 'key', id: ['/id'], verify: device }, []],
      [{ topic: 't', verify: mac }, ['warning /sources/s has no id: Idempotency-K']],
      [{ topic: 't', verify: { ...mac, format: 'cloudevents' } }, []],
      [{ topic: 't', verify: { ...mac, format: 'senml' } }, []],
      [
        { topic: 't', id: ['/id'], verify: { ...device, timestamp: 'none' } },
        ['warning /sources/s/verify/timestamp none: what a device has '],
      ],
      [
        { topic: 't', protocol: 'webhook', verify: { ...mac, format: 'json' } },
        ['error /sources/s/verify/format is for protocol events'],
      ],
      [
        { topic: 't', protocol: 'webhook', verify: { ...mac, id: 'x-id' } },
        ['warning /sources/s/verify/id is not signed: template '],
      ],
      [{ topic: 't', protocol: 'webhook', verify: { ...mac, id: 'x-id', template: '{id}{body}' } }, []],
    ];
    for (const [source, problems] of cases) expect([source, problemsOf(source)]).toEqual([source, problems]);
  });
});
