import { HTTP } from 'cloudevents';
import { describe, expect, test } from 'vitest';
import {
  batchMessage,
  binaryMessage,
  headerValue,
  type Message,
  structuredMessage,
} from '../../src/function/envelope.ts';
import { foreign, stored } from '../dispatcher/records.ts';

const headersOf = ({ headers }: Message): Record<string, string> => {
  const all: Record<string, string> = {};
  for (let i = 0; i < headers.length; i += 2) all[headers[i]!] = headers[i + 1]!;
  return all;
};
const textOf = ({ body }: Message): string => Buffer.from(body!).toString();
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('headerValue', () => {
  test('encodes as the CloudEvents HTTP binding says', () => {
    expect(headerValue('a-b:c/d!~#')).toBe('a-b:c/d!~#');
    expect(headerValue('Euro € 😀')).toBe('Euro%20%E2%82%AC%20%F0%9F%98%80');
    expect(headerValue('"50%"\r\n\x7f')).toBe('%2250%25%22%0D%0A%7F');
  });
});

describe('binary mode', () => {
  test('puts attributes into headers and leaves the data alone', () => {
    const value = Buffer.from('{"n": 12345678901234567890}');
    const message = binaryMessage(
      stored(value, {
        ce_subject: 'grün',
        ce_time: '2024-01-01T00:00:00Z',
        traceparent: TRACE,
        tracestate: 'a=b',
      }),
      'mail',
    );
    expect(headersOf(message)).toEqual({
      'ce-specversion': '1.0',
      'ce-id': 'id-1',
      'ce-source': '/shop',
      'ce-type': 'shop.order',
      'ce-subject': 'gr%C3%BCn',
      'ce-time': '2024-01-01T00:00:00Z',
      'content-type': 'application/json',
      traceparent: TRACE,
      tracestate: 'a=b',
      'idempotency-key': '"mail:/shop:id-1"',
    });
    expect(message.body).toBe(value);
  });

  test('is read by a CloudEvents SDK', () => {
    const message = binaryMessage(stored('{"a":1}', { ce_subject: 'a%20b', ce_tenant: 'acme' }), 's');
    const event = HTTP.toEvent({ headers: headersOf(message), body: textOf(message) });
    expect(event).toMatchObject({
      id: 'id-1',
      source: '/shop',
      type: 'shop.order',
      tenant: 'acme',
      data: { a: 1 },
    });
  });

  test('sends nothing that a header cannot hold', () => {
    const headers = headersOf(
      binaryMessage(
        stored(null, {
          ce_id: 'x\r\ny',
          'ce_bad name': '1',
          ce_UPPER: '1',
          ce_datacontenttype: 'a/b',
          'content-type': 'a\r\nb: c',
          traceparent: 'bad\r\n',
        }),
        's',
      ),
    );
    expect(Object.keys(headers).sort()).toEqual([
      'ce-id',
      'ce-source',
      'ce-specversion',
      'ce-type',
      'idempotency-key',
    ]);
    expect(headers['ce-id']).toBe('x%0D%0Ay');
  });

  test('has one idempotency key per event, subscription and source', () => {
    const key = (headers: Record<string, string>, subscription = 's') =>
      headersOf(binaryMessage(stored('1', headers), subscription))['idempotency-key']!;
    expect(key({})).toBe(key({}));
    const keys = [
      key({}),
      key({}, 't'),
      key({ ce_id: '2' }),
      key({ ce_source: '/b' }),
      key({ ce_id: 'x'.repeat(999) }),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    for (const one of keys) expect(one).toMatch(/^"[ -~]{1,255}"$/);
    expect(key({ ce_id: 'a\\b"c' })).toBe('"s:/shop:a\\\\b%22c"');
  });

  test('unpacks a structured record, with its numbers as written', () => {
    const text =
      '{"specversion":"1.0","id":"1","source":"/s","type":"t","n":5,"data":{"big":12345678901234567890,"x":1.0}}';
    const message = binaryMessage(foreign(text, { 'content-type': 'application/cloudevents+json' }), 's');
    expect(headersOf(message)).toMatchObject({
      'ce-id': '1',
      'ce-n': '5',
      'content-type': 'application/json',
    });
    expect(textOf(message)).toBe('{"big":12345678901234567890,"x":1.0}');
    const bytes = foreign(
      '{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"a/b","data_base64":"AP8="}',
      { 'content-type': 'application/cloudevents+json' },
    );
    expect([...binaryMessage(bytes, 's').body!]).toEqual([0, 255]);
  });

  test('makes an event of a foreign record', () => {
    const message = binaryMessage(foreign('hello', { other: 'x' }), 's');
    expect(headersOf(message)).toEqual({
      'ce-specversion': '1.0',
      'ce-id': 'orders-0-7',
      'ce-source': 'kafka:orders',
      'ce-type': 'kafka.record',
      'ce-time': '2024-01-02T00:00:00.000Z',
      'idempotency-key': '"s:kafka:orders:orders-0-7"',
    });
  });
});

describe('structured mode', () => {
  test('has JSON data byte for byte', () => {
    const data = '{ "n": 12345678901234567890, "n": 1.0 }';
    const text = textOf(structuredMessage(stored(data, { ce_subject: 'a "b" €' }), 's'));
    expect(text).toContain(`"data":${data}}`);
    expect(JSON.parse(text)).toMatchObject({
      id: 'id-1',
      subject: 'a "b" €',
      datacontenttype: 'application/json',
    });
  });

  test('has text as a string, all else as base64, and leaves out what is not there', () => {
    const json = (value: string | Uint8Array | null, type: string) =>
      JSON.parse(textOf(structuredMessage(stored(value, { 'content-type': type }), 's')));
    expect(json('a "b"\n€', 'text/plain').data).toBe('a "b"\n€');
    expect(json(Buffer.of(0xff), 'text/plain').data_base64).toBe('/w==');
    expect(json(Buffer.of(0, 255), 'application/cbor').data_base64).toBe('AP8=');
    expect(json('<a/>', 'application/xml').data_base64).toBe('PGEvPg==');
    expect(Object.keys(json(null, 'application/json'))).not.toContain('data');
    expect(json('null', 'application/json').data).toBeNull();
  });

  test('does not trust a record that calls itself JSON', () => {
    for (const value of ['{"a":', '', '"', '\ufeff{}', Buffer.of(0x22, 0xff, 0x22)]) {
      const event = JSON.parse(textOf(structuredMessage(stored(value), 's')));
      expect(event.data_base64).toBe(Buffer.from(value as string).toString('base64'));
      expect(event.data).toBeUndefined();
    }
  });

  test('passes a structured record on as it is', () => {
    const text =
      '{"id":"1", "specversion":"1.0","source":"/s","type":"t","data":{"big":12345678901234567890}}';
    const message = structuredMessage(foreign(text, { 'content-type': 'application/cloudevents+json' }), 's');
    expect(textOf(message)).toBe(text);
    const broken = foreign('[1]', { 'content-type': 'application/cloudevents-batch+json' });
    expect(JSON.parse(textOf(structuredMessage(broken, 's')))).toMatchObject({ id: 'orders-0-7', data: [1] });
  });
});

describe('batch mode', () => {
  test('is an array of structured events, with a key of its own', () => {
    const records = [
      stored('{"n":12345678901234567890}'),
      stored('x', { ce_id: '2', 'content-type': 'text/plain' }),
      foreign('{"specversion":"1.0","id":"3","source":"/s","type":"t"}', {
        'content-type': 'application/cloudevents+json',
      }),
    ];
    const message = batchMessage(records, 's');
    expect(headersOf(message)['content-type']).toMatch(/^application\/cloudevents-batch\+json/);
    expect(textOf(message)).toContain('"data":{"n":12345678901234567890}}');
    expect(JSON.parse(textOf(message)).map((event: { id: string }) => event.id)).toEqual(['id-1', '2', '3']);
    const key = headersOf(message)['idempotency-key'];
    expect(key).toMatch(/^"[\w-]{43}"$/);
    expect(headersOf(batchMessage(records, 's'))['idempotency-key']).toBe(key);
    expect(headersOf(batchMessage(records.slice(1), 's'))['idempotency-key']).not.toBe(key);
  });

  test('has each event as it would be alone, whatever comes before it', () => {
    const same = 'grün "1"';
    const some = [
      foreign('{"n":1}', {
        ce_specversion: '1.0',
        ce_id: '1',
        ce_source: '/a',
        ce_type: 't',
        ce_subject: same,
      }),
      foreign('{"n":2}', {
        ce_specversion: '1.0',
        ce_id: '2',
        ce_source: '/a',
        ce_type: 't',
        ce_subject: same,
      }),
      foreign('{"n":3}', { ce_specversion: '1.0', ce_id: '2', ce_source: '/b', ce_type: 'u', other: same }),
      stored('<a/>', { 'content-type': 'application/xml' }),
      stored('{"n":5}', { ce_datacontenttype: 'text/plain' }),
      stored('text', { 'content-type': 'Text/Plain; charset=utf-8' }),
      stored(null, { 'content-type': 'application/json' }),
      foreign('{"n":7}', { ce_id: '', ce_source: '/a', ce_type: 't' }),
      foreign('{"n":8}', { ce_id: '8', ce_source: '/a' }),
      foreign('9'),
      foreign('{"specversion":"1.0","id":"10","source":"/s","type":"t"}', {
        'content-type': 'application/cloudevents+json',
      }),
      stored('{"n":11}', { ce_long: '€'.repeat(5000), ce_empty: '' }),
      stored('{"n":12}', { ce_long: '€'.repeat(5000), ce_empty: '' }),
    ];
    // As the log reads them: the same bytes are the same object.
    const values = new Map<string, Uint8Array>();
    for (const { headers } of some) {
      for (const [name, bytes] of Object.entries(headers)) {
        const text = bytes.toString();
        if (!values.has(text)) values.set(text, bytes);
        headers[name] = values.get(text)!;
      }
    }
    const alone = some.map((record) => textOf(structuredMessage(record, 's')));
    expect(textOf(batchMessage(some, 's'))).toBe(`[${alone.join(',')}]`);
    expect(textOf(batchMessage(some.toReversed(), 's'))).toBe(`[${alone.toReversed().join(',')}]`);
    const [first, second, third] = JSON.parse(`[${alone.slice(0, 3).join(',')}]`);
    expect(first).toEqual({
      ...{ specversion: '1.0', id: '1', source: '/a', type: 't', subject: 'grün "1"', data: { n: 1 } },
    });
    expect(second).toEqual({ ...first, id: '2', data: { n: 2 } });
    expect(third).toEqual({ specversion: '1.0', id: '2', source: '/b', type: 'u', data: { n: 3 } });
    const [seventh, eighth, ninth, tenth] = JSON.parse(`[${alone.slice(6, 10).join(',')}]`);
    expect(seventh).toEqual({
      ...{ specversion: '1.0', id: 'id-1', source: '/shop', type: 'shop.order' },
      datacontenttype: 'application/json',
    });
    expect(eighth).toMatchObject({ specversion: '1.0', id: 'orders-0-7', source: '/a', data: { n: 7 } });
    expect(ninth).toMatchObject({ specversion: '1.0', id: '8', type: 'kafka.record', data: { n: 8 } });
    expect(tenth).toMatchObject({ id: 'orders-0-7', source: 'kafka:orders', data: 9 });
  });
});
