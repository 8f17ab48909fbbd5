import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { type Harness, startGateway } from './harness.ts';

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
    expect((await send(`[${envelope('m4')}]`, STRUCTURED)).status).toBe(400);
    expect((await send(envelope('m5'), BATCH)).status).toBe(400);
    expect((await send(envelope('m6'), { 'content-type': 'application/cloudevents+avro' })).status).toBe(415);
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

  it('percent-decodes header values once', async () => {
    await send(
      '1',
      binary('%C3%A9%2541 x', { 'content-type': 'application/json', 'ce-subject': '"quoted%20text"' }),
    );
    const one = await record('é%41 x');
    expect(header(one, 'ce_subject')).toBe('quoted text');
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
