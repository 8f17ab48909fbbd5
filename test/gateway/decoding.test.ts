import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startGateway } from './harness.ts';

const YAML = `
sources:
  s: { protocol: events, topic: s, id: [/id] }
  typed: { protocol: events, topic: typed, id: [/id], type: /type, key: /k, subject: /sub, time: /ts }
  joined: { protocol: events, topic: joined, id: [/a, /b] }
  other: { protocol: events, topic: joined, id: [/a, /b] }
  content: { protocol: events, topic: content, id: content }
  bare: { protocol: events, topic: bare }
  strict: { protocol: events, topic: strict, id: [/id], batch: all-or-nothing, schema: thing }
  checked: { protocol: events, topic: checked, id: [/id], schema: thing }
`;

const thing = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: { n: { type: 'number' }, list: { items: { oneOf: [{ type: 'string' }, { type: 'null' }] } } },
  required: ['n'],
};

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({ yaml: YAML, schemas: { thing } });
});
afterAll(() => gateway.close());

interface Answer {
  status: number;
  accepted: number;
  duplicates: number;
  rejected: number;
  retry: number;
  detail?: string;
  events: {
    index: number;
    line?: number;
    id: string;
    verdict: string;
    changed?: boolean;
    errors?: { code: string; pointer?: string; detail: string }[];
  }[];
}

async function send(
  source: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = { 'content-type': 'application/json' },
): Promise<Answer> {
  const response = await fetch(`${gateway.url}/events/${source}`, { method: 'POST', body, headers });
  return { status: response.status, ...((await response.json()) as object) } as Answer;
}

const JSON_LINES = { 'content-type': 'application/x-ndjson' };
const bytes = (...parts: (string | number[])[]) =>
  new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part as string))));

/** Values in a topic by event id. */
async function stored(topic: string): Promise<Map<string, string>> {
  const records = await gateway.read(topic);
  return new Map(
    records.map((r) => [Buffer.from(r.headers.ce_id!).toString(), Buffer.from(r.value ?? []).toString()]),
  );
}

describe('bytes and text', () => {
  it('C01 takes a byte order mark in front of the JSON on every path, and not in the middle', async () => {
    const mark = [0xef, 0xbb, 0xbf];
    const plain = { 'content-type': 'text/plain' };
    expect((await send('s', bytes(mark, '{"id":"b1"}'))).status).toBe(202);
    expect((await send('s', bytes(mark, '{"id":"b2"}'), plain)).status).toBe(202);
    expect((await send('s', bytes(mark, '{"id":"b3"}\n{"id":"b4"}'), JSON_LINES)).accepted).toBe(2);
    const zipped = new Uint8Array(gzipSync(bytes(mark, '{"id":"b5"}')));
    expect(
      (await send('s', zipped, { 'content-type': 'application/json', 'content-encoding': 'gzip' })).status,
    ).toBe(202);
    const values = await stored('s');
    for (const id of ['b1', 'b2', 'b3', 'b4', 'b5']) expect(values.get(id)).toBe(`{"id":"${id}"}`);
    const middle = await send('s', bytes('{"id":"b6"}\n', mark, '{"id":"b7"}'), JSON_LINES);
    expect([middle.status, middle.accepted, middle.rejected, middle.events[0]!.line]).toEqual([207, 1, 1, 2]);
  });

  it('takes each event of a batch as it was sent, whatever bytes its characters have', async () => {
    const events = [
      '{"id":"w1","t":"a"}',
      '{"id":"w2","t":"é日😀"}',
      '{"id":"wé","t":"\\u00e9"}',
      '{"id":"w4"}',
    ];
    expect((await send('s', `[${events.join(' , ')}]`)).accepted).toBe(4);
    const values = await stored('s');
    expect(['w1', 'w2', 'wé', 'w4'].map((id) => values.get(id))).toEqual(events);
    const broken = await send('s', bytes('[{"id":"w5"},{"id":"w6","t":"', [0xff], '"}]'));
    expect([broken.status, broken.detail]).toEqual([400, expect.stringContaining('not UTF-8')]);
    expect((await stored('s')).has('w5')).toBe(false);
  });

  it('C02 refuses other charsets with 415 and bytes that are no UTF-8 with 400', async () => {
    const latin = await send('s', bytes('{"id":"', [0xe9], '"}'), {
      'content-type': 'application/json; charset=iso-8859-1',
    });
    expect(latin.status).toBe(415);
    const wide = await send('s', new Uint8Array(Buffer.from('{"id":"u"}', 'utf16le')), {
      'content-type': 'application/json; charset=utf-16',
    });
    expect(wide.status).toBe(415);
    const broken = await send('s', bytes('{"a":"', [0xff, 0xfe], '"}'));
    expect([broken.status, broken.detail]).toEqual([400, expect.stringContaining('not UTF-8')]);
    for (const charset of ['"UTF-8"', 'utf8']) {
      expect(
        (
          await send('s', `{"id":"c${charset.length}"}`, {
            'content-type': `application/json; charset=${charset}`,
          })
        ).status,
      ).toBe(202);
    }
  });

  it('C03 keeps escaped lone surrogates and NUL in values, and refuses them where they would become id, key or header', async () => {
    const bodies = [
      '{"id":"s1","t":"\\ud83d"}',
      '{"id":"s2","t":"\\u0000"}',
      '{"id":"s3","t":"\\\\u0000"}',
      '{"id":"s4","\\ud83d":1}',
    ];
    const all = await send('s', `[${bodies.join(',')}]`);
    expect([all.status, all.accepted]).toEqual([202, 4]);
    const values = await stored('s');
    bodies.forEach((body, i) => expect(values.get(`s${i + 1}`)).toBe(body));
    const mixed = await send(
      'typed',
      '[{"id":"ok1","type":"t"},{"id":"x\\u0000","type":"t"},{"id":"i","type":"t","k":"\\ud83d"},{"id":"j","type":"\\udc00"},{"id":"ok2","type":"t"}]',
    );
    expect([mixed.status, mixed.accepted, mixed.rejected]).toEqual([207, 2, 3]);
    expect(mixed.events.map((event) => [event.index, event.errors![0]!.pointer])).toEqual([
      [1, '#/id'],
      [2, '#/k'],
      [3, '#/type'],
    ]);
  });

  it('C06 says that a body looks like gzip when the header is missing', async () => {
    const zipped = new Uint8Array(gzipSync('{"id":"z"}'));
    for (const type of ['text/plain', 'application/json']) {
      const answer = await send('s', zipped, { 'content-type': type });
      expect([answer.status, answer.detail]).toEqual([
        400,
        expect.stringContaining('Content-Encoding: gzip'),
      ]);
    }
  });
});

describe('texts and batches', () => {
  it('C09 refuses several JSON texts where one is expected, and stores nothing of a truncated array', async () => {
    expect((await send('s', '{"id":"n1"}{"id":"n2"}')).status).toBe(400);
    expect((await send('s', '[{"id":"n1"},{"id":"n2"}')).status).toBe(400);
    const line = await send('s', '{"id":"n1"}{"id":"n2"}\n', JSON_LINES);
    expect([line.status, line.events[0]!.line]).toEqual([400, 1]);
    const values = await stored('s');
    expect(values.has('n1')).toBe(false);
  });

  it('C09 gives NDJSON one verdict per line', async () => {
    const long = `{"id":"l3","t":"${'x'.repeat(300_000)}"}`;
    const body = `{"id":"l1"}\r\n\n{"id":"l2","t":"\u2028"}\n${long}\n{"id":"l4"}\n{"id":"l5","t":"cu`;
    const answer = await send('s', body, JSON_LINES);
    expect([answer.status, answer.accepted, answer.rejected]).toEqual([207, 3, 2]);
    expect(answer.events.map((event) => [event.index, event.line, event.errors![0]!.code])).toEqual([
      [2, 4, 'event_too_large'],
      [4, 6, 'not_json'],
    ]);
    const values = await stored('s');
    expect(values.get('l1')).toBe('{"id":"l1"}');
    expect(values.get('l2')).toBe('{"id":"l2","t":"\u2028"}');
    expect(values.has('l4')).toBe(true);
  });

  it('C10 answers empty bodies and hostile elements, never 500', async () => {
    expect((await send('s', '')).status).toBe(400);
    const empty = await send('s', '[]');
    expect([empty.status, empty.accepted]).toEqual([202, 0]);
    for (const body of ['{}', '[null]', '[[]]', '["x"]', '[1]', '{"batch":null}', '{"batch":{}}']) {
      const answer = await send('s', body);
      expect([body, answer.status, answer.rejected, answer.events[0]!.index]).toEqual([body, 422, 1, 0]);
    }
    const mixed = await send('s', '[null,{"id":"h1"},"x"]');
    expect([mixed.status, mixed.events.map((event) => event.index)]).toEqual([207, [0, 2]]);
  });

  it('C11 takes the last of duplicate keys everywhere, and no prototype changes', async () => {
    const bodies = [
      '{"id":"d0","id":"d1"}',
      '{"id":"d0","\\u0069d":"d2"}',
      '{"id":"d3","__proto__":{"type":"admin"},"constructor":1,"toString":null}',
    ];
    expect((await send('s', `[${bodies.join(',')}]`)).accepted).toBe(3);
    const values = await stored('s');
    expect(values.has('d0')).toBe(false);
    bodies.forEach((body, i) => expect(values.get(`d${i + 1}`)).toBe(body));
    expect(({} as { type?: string }).type).toBeUndefined();
    const inherited = await send('typed', '{"id":"d4","__proto__":{"type":"admin"}}');
    expect([inherited.status, inherited.events[0]!.errors![0]!.pointer]).toEqual([422, '#/type']);
  });

  it('C12 stores numbers as they were sent, and tells big ids apart', async () => {
    const body = '{"id":"i1","order":9007199254740993,"x":1e400,"y":-0,"z":1.0,"w":0.1234567890123456789}';
    expect((await send('s', body)).status).toBe(202);
    const ids = await send(
      's',
      '[{"id":9007199254740993},{"id":9007199254740992},{"id":1},{"id":1.0},{"id":"1"}]',
    );
    expect(ids.accepted).toBe(5);
    const records = await gateway.read('s');
    const values = records.map((record) => Buffer.from(record.value!).toString());
    expect(values).toContain(body);
    expect(records.map((record) => Buffer.from(record.headers.ce_id!).toString())).toContain(
      '9007199254740993',
    );
    const infinite = await send('checked', '{"id":"inf","n":1e400}');
    expect([infinite.status, infinite.events[0]!.errors![0]!.pointer]).toEqual([422, '#/n']);
  });

  it('C13 refuses an event nested too deeply, and only that one', async () => {
    const nest = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    const deep = await send('s', `{"id":"x","d":${nest(20_000)}}`);
    expect([deep.status, deep.events[0]!.errors![0]!.detail]).toEqual([
      422,
      expect.stringContaining('the limit is 64'),
    ]);
    expect((await send('s', `{"id":"x63","d":${nest(63)}}`)).status).toBe(202);
    expect((await send('s', `{"id":"x64","d":${nest(64)}}`)).status).toBe(422);
    const mixed = await send('s', `[{"id":"m1"},{"id":"m2","d":${nest(20_000)}},{"id":"m3"}]`);
    expect([mixed.status, mixed.accepted, mixed.events.map((event) => event.index)]).toEqual([207, 2, [1]]);
  });

  it('C45 stores the good neighbours of a bad event, in every format', async () => {
    const good = (id: string) => `{"id":"${id}","n":1}`;
    const json = await send('checked', `[${good('p1')},{"id":"p2"},${good('p3')}]`);
    const lines = await send('checked', `${good('q1')}\n{"id":"q2"}\n${good('q3')}`, JSON_LINES);
    const ce = (id: string, data: string) =>
      `{"specversion":"1.0","id":"${id}","source":"/x","type":"t","data":${data}}`;
    const batch = await send('checked', `[${ce('r1', '{"n":1}')},${ce('r2', '{}')},${ce('r3', '{"n":2}')}]`, {
      'content-type': 'application/cloudevents-batch+json',
    });
    for (const answer of [json, lines, batch]) {
      expect([answer.status, answer.accepted, answer.rejected, answer.events[0]!.index]).toEqual([
        207, 2, 1, 1,
      ]);
      expect(answer.events[0]!.errors![0]).toMatchObject({ code: 'schema_mismatch', pointer: '#/n' });
    }
    const rejected = await gateway.read('checked.rejected');
    const reasons = rejected.map((record) => Buffer.from(record.headers.postern_errors!).toString());
    expect(reasons.filter((reason) => reason.includes('"pointer":"#/n"')).length).toBeGreaterThanOrEqual(3);
  });

  it('stores nothing of a batch that is all or nothing when one event is bad', async () => {
    const answer = await send('strict', '[{"id":"a","n":1},{"id":"b"}]');
    expect([answer.status, answer.rejected, answer.events.map((e) => e.errors![0]!.code)]).toEqual([
      422,
      2,
      ['batch_refused', 'schema_mismatch'],
    ]);
    expect(await gateway.read('strict')).toEqual([]);
    expect((await send('strict', '[{"id":"a","n":1},{"id":"b","n":2}]')).accepted).toBe(2);
  });

  it('C27 bounds the errors of a reply and of a rejected record', async () => {
    const flood = (id: number) => `{"id":"f${id}","n":1,"list":[${'1,'.repeat(5000)}1]}`;
    const answer = await send('checked', `[${Array.from({ length: 50 }, (_, i) => flood(i)).join(',')}]`);
    expect([answer.status, answer.rejected]).toEqual([422, 50]);
    expect(JSON.stringify(answer).length).toBeLessThan(200_000);
    for (const event of answer.events) expect(event.errors!.length).toBeLessThanOrEqual(20);
    for (const record of await gateway.read('checked.rejected')) {
      expect(record.headers.postern_errors!.length).toBeLessThanOrEqual(4096);
    }
  });
});

describe('ids', () => {
  it('C36 keeps ids of sources, joins and kinds apart, and tells a changed payload', async () => {
    const verdict = async (source: string, body: string) => {
      const answer = await send(source, body);
      return answer.accepted === 1
        ? 'accepted'
        : (answer.events[0]?.errors?.[0]?.code ?? answer.events[0]?.verdict);
    };
    expect(await verdict('joined', '{"a":"x","b":"y-z"}')).toBe('accepted');
    expect(await verdict('joined', '{"a":"x-y","b":"z"}')).toBe('accepted');
    expect(await verdict('joined', '{"a":"","b":"ab"}')).toBe('accepted');
    expect(await verdict('joined', '{"a":"a","b":"b"}')).toBe('accepted');
    expect(await verdict('joined', '{"a":"ab","b":""}')).toBe('accepted');
    expect(await verdict('joined', '{"a":1,"b":"k"}')).toBe('accepted');
    expect(await verdict('joined', '{"a":"1","b":"k"}')).toBe('accepted');
    expect(await verdict('other', '{"a":"x","b":"y-z"}')).toBe('accepted');
    expect(await verdict('joined', '{"a":"x","b":"y-z"}')).toBe('duplicate');
    expect(await verdict('joined', '{"a":"x"}')).toBe('id_missing');
    expect(await verdict('joined', '{"a":"x","b":{}}')).toBe('id_invalid');
    const changed = await send('joined', '{"a":"x","b":"y-z","more":1}');
    expect(changed.events[0]).toMatchObject({ verdict: 'duplicate', changed: true });
    expect(gateway.groups.reduce((sum, group) => sum + group.changed, 0)).toBe(1);
    const ce = (source: string) =>
      send('s', '1', {
        'content-type': 'application/json',
        'ce-id': 'same',
        'ce-source': source,
        'ce-type': 't',
        'ce-specversion': '1.0',
      });
    expect([(await ce('/one')).accepted, (await ce('/two')).accepted, (await ce('/one')).duplicates]).toEqual(
      [1, 1, 1],
    );
  });

  it('takes the id from Idempotency-Key, else pointers, else the content, else refuses', async () => {
    const key = { 'content-type': 'application/json', 'idempotency-key': '"k-1"' };
    expect((await send('bare', '{"x":1}', key)).accepted).toBe(1);
    expect((await send('bare', '{"x":1}', { ...key, 'idempotency-key': 'k-1' })).duplicates).toBe(1);
    expect((await send('bare', '[{"x":1},{"x":2}]', { ...key, 'idempotency-key': 'k-2' })).accepted).toBe(2);
    expect((await send('bare', '[{"x":1},{"x":2}]', { ...key, 'idempotency-key': 'k-2' })).duplicates).toBe(
      2,
    );
    const none = await send('bare', '{"x":1}');
    expect([none.status, none.events[0]!.errors![0]!.code]).toEqual([422, 'id_missing']);
    expect((await send('content', '{"x":1}')).accepted).toBe(1);
    expect((await send('content', '{"x":1}')).duplicates).toBe(1);
    expect((await send('content', '{"x": 1}')).accepted).toBe(1);
    expect((await send('s', `{"id":"${'i'.repeat(257)}"}`)).status).toBe(422);
  });

  it('C44 takes the key from scalars only, and none when it is missing or empty', async () => {
    const keyed = (id: string, k: string) => `{"id":"${id}","type":"t"${k}}`;
    const cases = [
      '',
      ',"k":null',
      ',"k":""',
      ',"k":9007199254740993',
      ',"k":true',
      ',"k":{}',
      ',"k":[1]',
      `,"k":"${'k'.repeat(1_100)}"`,
    ];
    const answer = await send('typed', `[${cases.map((k, i) => keyed(`key${i}`, k)).join(',')}]`);
    expect([answer.accepted, answer.events.map((event) => [event.index, event.errors![0]!.code])]).toEqual([
      5,
      [
        [5, 'key_invalid'],
        [6, 'key_invalid'],
        [7, 'key_invalid'],
      ],
    ]);
    const keys = new Map(
      (await gateway.read('typed')).map((r) => [
        Buffer.from(r.headers.ce_id!).toString(),
        r.key && Buffer.from(r.key).toString(),
      ]),
    );
    expect([0, 1, 2, 3, 4].map((i) => keys.get(`key${i}`))).toEqual([
      null,
      null,
      null,
      '9007199254740993',
      'true',
    ]);
  });

  it('C26 keeps a strict RFC 3339 time and refuses what would break the ce_time header', async () => {
    const good = [
      '2026-03-01T10:00:00Z',
      '2016-12-31T23:59:60Z',
      '2026-03-01t10:00:00.123456789+05:30',
      '2024-02-29T00:00:00Z',
    ];
    const bad = [
      '2026-03-01T10:00:00+0100',
      '2026-03-01T10:60:00+00:01',
      '2026-02-30T00:00:00Z',
      '2026-03-01 10:00:00Z',
      '2026-03-01T10:00:60Z',
      'x',
    ];
    const body = [...good, ...bad].map((ts, i) => JSON.stringify({ id: `ts${i}`, type: 't', ts }));
    const answer = await send('typed', `[${body.join(',')}]`);
    expect([answer.accepted, answer.rejected]).toEqual([good.length, bad.length]);
    expect(answer.events.every((event) => event.errors![0]!.pointer === '#/ts')).toBe(true);
    await send(
      'typed',
      '[{"id":"ts-s","type":"t","ts":1790000000},{"id":"ts-ms","type":"t","ts":1790000000123}]',
    );
    const times = new Map(
      (await gateway.read('typed')).map((r) => [
        Buffer.from(r.headers.ce_id!).toString(),
        Buffer.from(r.headers.ce_time!).toString(),
      ]),
    );
    good.forEach((ts, i) => expect(times.get(`ts${i}`)).toBe(ts));
    expect([times.get('ts-s'), times.get('ts-ms')]).toEqual([
      '2026-09-21T14:13:20.000Z',
      '2026-09-21T14:13:20.123Z',
    ]);
  });
});

it('received = accepted + duplicate + rejected + retry, over everything that this file sent', () => {
  const sum = { accepted: 0, duplicate: 0, rejected: 0, retry: 0 };
  for (const { verdicts } of gateway.requests)
    for (const [name, n] of Object.entries(verdicts)) sum[name as keyof typeof sum] += n;
  const grouped = { accepted: 0, duplicate: 0, rejected: 0, retry: 0 };
  for (const group of gateway.groups)
    for (const name of Object.keys(grouped) as (keyof typeof grouped)[]) grouped[name] += group[name];
  // All but the two events of the all-or-nothing batch that was refused went through a group.
  expect(grouped).toEqual({ ...sum, rejected: sum.rejected - 2 });
  expect(gateway.bufferedBytes()).toBe(0);
});
