import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { type Harness, startGateway } from './harness.ts';
import { rawExchange, wholeReply } from './raw.ts';

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({ yaml: 'sources:\n  s: { protocol: events, topic: s, key: /device }\n' });
});
afterAll(() => gateway.close());

type Answer = {
  status: number;
  accepted: number;
  rejected: number;
  detail?: string;
  events: { errors: { detail: string; code: string }[] }[];
};

async function send(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
): Promise<Answer> {
  const response = await fetch(`${gateway.url}/events/s`, { method: 'POST', body, headers });
  return { status: response.status, ...((await response.json()) as object) } as Answer;
}

const binary = (id: string, more: Record<string, string> = {}) => ({
  'ce-id': id,
  'ce-source': '/x',
  'ce-type': 't',
  'ce-specversion': '1.0',
  ...more,
});
const envelope = (id: string, more = '') =>
  `{"specversion":"1.0","id":"${id}","source":"/x","type":"t"${more}}`;
const STRUCTURED = { 'content-type': 'application/cloudevents+json' };
const BATCH = { 'content-type': 'application/cloudevents-batch+json' };

async function record(id: string): Promise<StoredRecord> {
  const found = (await gateway.read('s')).filter((one) => Buffer.from(one.headers.ce_id!).toString() === id);
  expect(found).toHaveLength(1);
  return found[0]!;
}
const header = (one: StoredRecord, name: string) =>
  one.headers[name] === undefined ? null : Buffer.from(one.headers[name]).toString();
const value = (one: StoredRecord) => (one.value === null ? null : Buffer.from(one.value).toString());

describe('CloudEvents hops', () => {
  it('an event from outside has none, whatever it says: in binary, structured and batch mode', async () => {
    await send('{}', binary('h1', { 'ce-posternhops': '15', 'ce-more': 'x' }));
    await send(envelope('h2', ',"posternhops":-1000,"more":true'), STRUCTURED);
    await send(`[${envelope('h3', ',"posternhops":16,"more":1')}]`, BATCH);
    for (const id of ['h1', 'h2', 'h3']) {
      const one = await record(id);
      expect([id, header(one, 'ce_posternhops')]).toEqual([id, null]);
      expect(header(one, 'ce_more')).not.toBeNull();
    }
  });
});

describe('CloudEvents modes', () => {
  it('C18 takes the mode from the content type, with parameters and any case', async () => {
    expect(
      (
        await send(envelope('m1', ',"data":{"a":1.0}'), {
          'content-type': 'APPLICATION/CloudEvents+JSON; charset=utf-8',
        })
      ).accepted,
    ).toBe(1);
    expect(value(await record('m1'))).toBe('{"a":1.0}');
    expect((await send(`[${envelope('m2')},${envelope('m3')}]`, BATCH)).accepted).toBe(2);
    expect((await send('[]', BATCH)).status).toBe(202);
    expect((await send(envelope('m5'), BATCH)).status).toBe(400);
    expect(
      (await send(envelope('m7'), { ...STRUCTURED, 'ce-id': 'other', 'ce-source': '/y' })).accepted,
    ).toBe(1);
    expect(header(await record('m7'), 'ce_source')).toBe('/x');
    const old = await send(
      '{}',
      binary('m8', { 'ce-specversion': '0.3', 'content-type': 'application/json' }),
    );
    expect([old.status, old.events[0]!.errors[0]!.detail]).toEqual([400, expect.stringContaining('1.0')]);
  });

  it('C18 takes all events of an array that is labelled as one structured event', async () => {
    const answer = await send(`[${envelope('a1')},${envelope('a2')},{"id":"a3"}]`, STRUCTURED);
    expect([answer.status, answer.accepted, answer.rejected]).toEqual([207, 2, 1]);
    await record('a1');
    await record('a2');
    expect((await send('[]', STRUCTURED)).status).toBe(202);
  });

  it('C18 answers 415 for event formats that are not taken, and names those that are', async () => {
    const types = [
      'application/cloudevents',
      'application/cloudevents+xml',
      'application/cloudevents+protobuf',
      'application/cloudevents+avro',
      'application/cloudevents-batch',
      'application/cloudevents-batch+protobuf; charset=utf-8',
    ];
    for (const type of types) {
      const body = envelope('format');
      const reply = await fetch(`${gateway.url}/events/s`, {
        method: 'POST',
        body,
        headers: binary('format', { 'content-type': type }),
      });
      expect([type, reply.status]).toEqual([type, 415]);
      const accepted = reply.headers.get('accept-post')!.split(', ');
      expect(accepted).toContain('application/cloudevents+json');
      expect(accepted).toContain('application/cloudevents-batch+json');
    }
  });

  it('C18 a structured event is what its body says, whatever version or id the headers claim', async () => {
    const old = await send(envelope('v3').replace('1.0', '0.3'), { ...STRUCTURED, 'ce-specversion': '1.0' });
    expect([old.status, old.events[0]!.errors[0]!.detail]).toEqual([400, expect.stringContaining('1.0')]);
    expect((await send(envelope('v1'), { ...STRUCTURED, 'ce-specversion': '0.3' })).accepted).toBe(1);
  });

  it('C19 stores data without a content type as it came, and without making one up', async () => {
    expect((await send(new TextEncoder().encode('plain'), binary('n1'))).accepted).toBe(1);
    const plain = await record('n1');
    expect([value(plain), header(plain, 'content-type')]).toEqual(['plain', null]);
    await send('', binary('n2', { 'content-type': 'application/json' }));
    const empty = await record('n2');
    expect([value(empty), header(empty, 'content-type')]).toEqual([null, 'application/json']);
  });

  it('C19 refuses an attribute that is there twice', async () => {
    const head = ['ce-id: one', 'CE-Id: two', 'ce-source: /x', 'ce-type: t', 'ce-specversion: 1.0'];
    const reply = await rawExchange(
      gateway.port,
      [`POST /events/s HTTP/1.1\r\nhost: x\r\n${head.join('\r\n')}\r\ncontent-length: 0\r\n\r\n`],
      wholeReply,
    );
    expect(reply).toContain(' 400 ');
    expect(reply).toContain('header ce-id is there twice');
  });

  it('C19 keeps the bytes of binary mode, and refuses what the binding forbids', async () => {
    expect(
      (await send(new Uint8Array([0, 255, 1]), binary('b1', { 'content-type': 'application/octet-stream' })))
        .accepted,
    ).toBe(1);
    const raw = await record('b1');
    expect([...raw.value!]).toEqual([0, 255, 1]);
    expect(header(raw, 'content-type')).toBe('application/octet-stream');
    expect((await send('', binary('b2'))).accepted).toBe(1);
    expect(value(await record('b2'))).toBeNull();
    const cases: [Record<string, string>, string][] = [
      [
        binary('b3', { 'ce-datacontenttype': 'text/xml', 'content-type': 'application/json' }),
        'ce-datacontenttype',
      ],
      [binary('b4', { 'ce-my-ext': 'x', 'content-type': 'application/json' }), 'my-ext'],
      [binary('b4', { 'ce-data': 'x', 'content-type': 'application/json' }), 'ce-data'],
      [binary('b4', { 'ce-__proto__': 'x', 'content-type': 'application/json' }), '__proto__'],
      [binary('b5', { 'ce-time': '2026-02-30T00:00:00Z', 'content-type': 'application/json' }), 'time'],
      [binary('b6', { 'ce-dataschema': 'relative', 'content-type': 'application/json' }), 'dataschema'],
      [{ 'ce-id': 'b7', 'content-type': 'application/json' }, 'ce-source is missing'],
    ];
    for (const [headers, detail] of cases) {
      const answer = await send('{}', headers);
      expect([answer.status, answer.events[0]!.errors.map((error) => error.detail).join()]).toEqual([
        400,
        expect.stringContaining(detail),
      ]);
    }
    const both = await send(envelope('b8', ',"data":1,"data_base64":"AA=="'), STRUCTURED);
    expect([both.status, both.events[0]!.errors[0]!.detail]).toEqual([
      400,
      expect.stringContaining('exclude'),
    ]);
  });

  it('C01 takes a byte order mark off JSON data, and leaves other data alone', async () => {
    const marked = new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d]);
    await send(marked, binary('bom1', { 'content-type': 'application/json' }));
    await send(marked, binary('bom2', { 'content-type': 'application/octet-stream' }));
    expect(value(await record('bom1'))).toBe('{}');
    expect([...(await record('bom2')).value!]).toEqual([...marked]);
  });

  it('C19 takes extensions of any length of name, and text, booleans and 32-bit integers as values', async () => {
    const long = 'extensionwithaverylongname';
    await send(envelope('e1', `,"${long}":"v","yes":true,"low":-2147483648,"gone":null`), STRUCTURED);
    const one = await record('e1');
    expect([long, 'yes', 'low', 'gone'].map((name) => header(one, `ce_${name}`))).toEqual([
      'v',
      'true',
      '-2147483648',
      null,
    ]);
    const cases: [string, string][] = [
      ['"Ext":1', 'lower-case'],
      ['"my-ext":1', 'lower-case'],
      ['"__proto__":1', 'lower-case'],
      ['"":1', 'lower-case'],
      ['"ext":2147483648', '32 bits'],
      ['"ext":9007199254740993', '32 bits'],
      ['"ext":1.5', '32 bits'],
      ['"ext":{}', 'string, boolean or integer'],
      ['"ext":["a"]', 'string, boolean or integer'],
      ['"ext":"\\u0007"', 'control'],
      ['"time":1767225600', 'string'],
      ['"subject":5', 'string'],
      ['"subject":""', 'empty'],
      ['"dataschema":true', 'string'],
    ];
    for (const [member, detail] of cases) {
      const { status, events } = await send(envelope('e2', `,${member}`), STRUCTURED);
      const details = events[0]!.errors.map((error) => error.detail).join();
      expect([member, status, details]).toEqual([member, 400, expect.stringContaining(detail)]);
    }
    const numbers = await send('{"specversion":1.0,"id":7,"source":"/x","type":"t"}', STRUCTURED);
    expect([numbers.status, numbers.events[0]!.errors.map((error) => error.detail)]).toEqual([
      400,
      ['attribute id must be a string', 'attribute specversion must be a string'],
    ]);
  });

  it('takes events of 64 KiB, with attributes that a function can take as headers', async () => {
    const size = 64 * 1024;
    const events = [
      envelope('z1', `,"data":"${'d'.repeat(size)}"`).replace('dddddddddd', ''),
      envelope('z2', `,"subject":"${'s'.repeat(8000)}"`),
      envelope('z3', `,"dataschema":"https://x.example/${'q'.repeat(7900)}"`),
    ];
    for (const event of events) expect((await send(event, STRUCTURED)).accepted).toBe(1);
    expect((await send(`[${events.join(',').replaceAll('"z', '"y')}]`, BATCH)).accepted).toBe(3);
    const body = new Uint8Array(size).fill(0xff);
    expect((await send(body, binary('z4', { 'content-type': 'image/png' }))).accepted).toBe(1);
    expect((await record('z4')).value!.length).toBe(size);
    const id = await send(envelope('i'.repeat(257)), STRUCTURED);
    expect([id.status, id.events[0]!.errors[0]!.detail]).toEqual([400, expect.stringContaining('256')]);
  });

  it('percent-decodes header values once', async () => {
    await send(
      '1',
      binary('%C3%A9%2541 x', { 'content-type': 'application/json', 'ce-subject': '"quoted%20text"' }),
    );
    const one = await record('é%41 x');
    expect(header(one, 'ce_subject')).toBe('quoted text');
    const subjects: [string, string | null][] = [
      ['"a \\"b\\" \\\\ %25"', 'a "b" \\ %'],
      ['"a" and "b"', '"a" and "b"'],
      ['100% %zz %2', '100% %zz %2'],
      ['%e2%82%ac %E2%82%AC', '€ €'],
      ['%f0%9f%98%80', '😀'],
      ['%25E2%2582', '%E2%82'],
      ['%EF%BB%BFx', '\ufeffx'],
      [Buffer.from('Zürich').toString('latin1'), 'Zürich'],
      ['%C0%AF', null],
      ['%ED%A0%80', null],
      ['%E2%82', null],
      ['caf\u00e9', 'café'],
      ['%00', null],
      ['a%0Ab', null],
    ];
    for (const [index, [sent, decoded]] of subjects.entries()) {
      const answer = await send('1', binary(`p${index}`, { 'ce-subject': sent }));
      expect([sent, answer.status]).toEqual([sent, decoded === null ? 400 : 202]);
      if (decoded !== null) expect(header(await record(`p${index}`), 'ce_subject')).toBe(decoded);
    }
    const broken = await send('1', binary('%FF', { 'content-type': 'application/json' }));
    expect(broken.status).toBe(400);
  });

  it('stores structured data as it was sent, base64 and text decoded, extensions as text', async () => {
    await send(envelope('s1', ',"data":{"n":9007199254740993,"n":1e400},"data2":true,"count":3'), STRUCTURED);
    const one = await record('s1');
    expect(value(one)).toBe('{"n":9007199254740993,"n":1e400}');
    expect([header(one, 'ce_data2'), header(one, 'ce_count'), header(one, 'content-type')]).toEqual([
      'true',
      '3',
      'application/json',
    ]);
    await send(
      envelope('s2', ',"data_base64":"AP8B","datacontenttype":"application/octet-stream"'),
      STRUCTURED,
    );
    expect([...(await record('s2')).value!]).toEqual([0, 255, 1]);
    await send(envelope('s3', ',"data":"<a>é</a>","datacontenttype":"text/xml"'), STRUCTURED);
    expect(value(await record('s3'))).toBe('<a>é</a>');
    await send(envelope('s4'), STRUCTURED);
    expect(value(await record('s4'))).toBeNull();
    await send(envelope('s5', ',"data":null'), STRUCTURED);
    expect(value(await record('s5'))).toBe('null');
  });

  it('takes the key from the data, else from partitionkey', async () => {
    await send(envelope('k1', ',"data":{"device":"d1"},"partitionkey":"p1"'), STRUCTURED);
    await send(envelope('k2', ',"data":{},"partitionkey":"p1"'), STRUCTURED);
    expect(Buffer.from((await record('k1')).key!).toString()).toBe('d1');
    const second = await record('k2');
    expect([Buffer.from(second.key!).toString(), header(second, 'ce_partitionkey')]).toEqual(['p1', 'p1']);
  });

  it('carries a valid trace context, and drops an invalid one', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await send('1', binary('t1', { 'content-type': 'application/json', traceparent, tracestate: 'a=b' }));
    await send(
      '1',
      binary('t2', { 'content-type': 'application/json', traceparent: '00-0-0-01', tracestate: 'a=b' }),
    );
    const [good, bad] = [await record('t1'), await record('t2')];
    expect([header(good, 'traceparent'), header(good, 'tracestate')]).toEqual([traceparent, 'a=b']);
    expect([header(bad, 'traceparent'), header(bad, 'tracestate')]).toEqual([null, null]);
  });
});
