import { CloudEvent, HTTP } from 'cloudevents';
import { describe, expect, it } from 'vitest';
import type { FunctionReply } from '../../src/function/answer.ts';
import { BadReply, readReply } from '../../src/function/reply.ts';

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const OTHER = '00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
const CE = { 'ce-specversion': '1.0', 'ce-id': 'r-1', 'ce-source': '/fn', 'ce-type': 'fn.done' };
const STRUCTURED = { 'content-type': 'application/cloudevents+json; charset=utf-8' };
const BATCH = { 'content-type': 'application/cloudevents-batch+json' };
const ENVELOPE = '"specversion":"1.0","id":"r-1","source":"/fn","type":"fn.done"';

const reply = (headers: FunctionReply['headers'], body: string | Uint8Array = ''): FunctionReply => ({
  headers,
  body: typeof body === 'string' ? Buffer.from(body) : body,
});
const textOf = (data: Uint8Array | null) => (data === null ? null : Buffer.from(data).toString());
const read = (headers: FunctionReply['headers'], body?: string | Uint8Array) =>
  readReply(reply(headers, body));

describe('an answer', () => {
  it.each([
    ['nothing', {}, ''],
    ['text', { 'content-type': 'text/plain' }, 'OK'],
    ['JSON', { 'content-type': 'application/json' }, '{"id":"1","type":"t"}'],
    ['JSON that is no JSON', { 'content-type': 'application/json' }, '{'],
    ['a trace context alone', { traceparent: TRACE }, ''],
    ['nothing under the type of an event', STRUCTURED, ' \n'],
    ['an empty batch', BATCH, '[]'],
    ['batchItemFailures', { 'content-type': 'application/json' }, '{"batchItemFailures":[]}'],
  ])('is no event when it is %s', (_, headers: Record<string, string>, body) => {
    expect(read(headers, body)).toEqual([]);
  });

  it('in binary mode has its attributes percent-decoded, and the data as it is', () => {
    const body = '{"n": 12345678901234567890, "a":1,"a":2}';
    const [event, ...others] = read(
      { ...CE, 'ce-subject': 'caf%C3%A9%20%25', 'ce-hits': '3', 'content-type': 'application/json' },
      body,
    );
    expect(others).toEqual([]);
    expect(event!.headers).toEqual({
      ce_specversion: '1.0',
      ce_id: 'r-1',
      ce_source: '/fn',
      ce_type: 'fn.done',
      ce_subject: 'café %',
      ce_hits: '3',
      'content-type': 'application/json',
    });
    expect(textOf(event!.data)).toBe(body);
    expect(event!.key).toBeNull();
    expect(read(CE)[0]!.data).toBeNull();
  });

  it('in structured mode has its data byte for byte', () => {
    const data = '{ "big": 12345678901234567890, "x":1, "x":2, "\\u0061":1.0 }';
    const [event] = read(STRUCTURED, `{${ENVELOPE},"partitionkey":"k-1","n":7,"yes":true,"data": ${data} }`);
    expect(textOf(event!.data)).toBe(data);
    expect(event!.headers).toMatchObject({
      ce_partitionkey: 'k-1',
      ce_n: '7',
      ce_yes: 'true',
      'content-type': 'application/json',
    });
    expect(event!.key).toBe('k-1');
  });

  it.each([
    ['bytes', ',"datacontenttype":"image/png","data_base64":"AAEC"', '\u0000\u0001\u0002', 'image/png'],
    ['no bytes', ',"data_base64":""', '', 'application/json'],
    ['text', ',"datacontenttype":"text/plain","data":"caf\\u00e9"', 'café', 'text/plain'],
    ['a JSON string', ',"data":"caf\\u00e9"', '"caf\\u00e9"', 'application/json'],
    ['nothing', '', null, undefined],
    ['nothing, with a type', ',"datacontenttype":"text/plain"', null, 'text/plain'],
  ])('in structured mode may hold %s', (_, members, data, type) => {
    const [event] = read(STRUCTURED, `{${ENVELOPE}${members}}`);
    expect(textOf(event!.data)).toBe(data);
    expect(event!.headers['content-type']).toBe(type);
  });

  it('may be a batch, also under the type of one event', () => {
    const body = `[ {${ENVELOPE},"data":{"a":1.0}} , {${ENVELOPE.replace('r-1', 'r-2')},"data":2.50} ]`;
    for (const headers of [BATCH, STRUCTURED]) {
      const events = read(headers, body);
      expect(events.map(({ headers, data }) => [headers.ce_id, textOf(data)])).toEqual([
        ['r-1', '{"a":1.0}'],
        ['r-2', '2.50'],
      ]);
    }
  });

  it('may be what the CloudEvents SDK makes of an event, in both modes', () => {
    const sent = new CloudEvent({ id: 'ü 1', source: '/sdk', type: 't', data: { a: 'ß' }, more: 'x' });
    for (const message of [HTTP.binary(sent), HTTP.structured(sent)]) {
      const headers = Object.fromEntries(
        Object.entries(message.headers).map(([name, value]) => [name.toLowerCase(), String(value)]),
      );
      const [event] = read(headers, String(message.body));
      expect(event!.headers).toMatchObject({ ce_id: 'ü 1', ce_source: '/sdk', ce_type: 't', ce_more: 'x' });
      expect(JSON.parse(textOf(event!.data)!)).toEqual({ a: 'ß' });
    }
  });

  it.each([
    ['without an id', { ...CE, 'ce-id': undefined }, '', /header ce-id is missing/],
    ['without a source', { ...CE, 'ce-source': '' }, '', /ce-source/],
    ['without a type', { 'ce-specversion': '1.0' }, '', /is missing/],
    ['without a version', { ...CE, 'ce-specversion': undefined }, '', /ce-specversion/],
    ['of another version', { ...CE, 'ce-specversion': '0.3' }, '', /specversion must be 1.0/],
    ['with two ids', { ...CE, 'ce-id': ['a', 'b'] }, '', /ce-id is there twice/],
    ['with a time that is none', { ...CE, 'ce-time': 'now' }, '', /ce-time/],
    ['with bytes that are no text', { ...CE, 'ce-subject': '%ff' }, '', /ce-subject/],
    ['that is no JSON', STRUCTURED, '{', /no JSON object/],
    ['that is no object', STRUCTURED, '7', /no JSON object/],
    ['that is not UTF-8', STRUCTURED, Uint8Array.from([0x7b, 0xff, 0x7d]), /no JSON object/],
    [
      'in another charset',
      { 'content-type': 'application/cloudevents+json; charset=utf-16' },
      '{}',
      /charset/,
    ],
    ['in another format', { 'content-type': 'application/cloudevents+avro' }, 'x', /not understood/],
    ['with an empty envelope', STRUCTURED, '{}', /attribute id is missing/],
    ['with two kinds of data', STRUCTURED, `{${ENVELOPE},"data":1,"data_base64":"AA=="}`, /both/],
    ['with data that is no base64', STRUCTURED, `{${ENVELOPE},"data_base64":"A"}`, /base64/],
    ['with a media type that is none', STRUCTURED, `{${ENVELOPE},"datacontenttype":7}`, /media type/],
    ['with an attribute that is an object', STRUCTURED, `{${ENVELOPE},"more":{}}`, /attribute more/],
    ['one event under the type of a batch', BATCH, `{${ENVELOPE}}`, /array/],
    ['a batch that is cut short', BATCH, `[{${ENVELOPE}}`, /not closed/],
    ['a batch with one that is none', BATCH, `[{${ENVELOPE}},{}]`, /event 1: attribute id/],
  ])('that claims to be an event is refused: %s', (_, headers, body, message) => {
    expect(() => read(headers as FunctionReply['headers'], body)).toThrow(BadReply);
    expect(() => read(headers as FunctionReply['headers'], body)).toThrow(message);
  });

  it('never quotes its data in an error', () => {
    for (const body of ['{"secret-1', `{${ENVELOPE},"data":"secret-1","data_base64":"AA=="}`]) {
      expect(() => read(STRUCTURED, body)).toThrow(/^(?!.*secret-1)/s);
    }
  });

  it('brings a trace context of its own as a header or, for one event, as attributes', () => {
    expect(read(CE)[0]!.trace).toEqual({});
    expect(read({ ...CE, traceparent: TRACE, tracestate: 'a=1' })[0]!.trace).toEqual({
      traceparent: TRACE,
      tracestate: 'a=1',
    });
    expect(read({ ...CE, traceparent: 'nonsense' })[0]!.trace).toEqual({});
    const events = read(
      { ...BATCH, traceparent: TRACE },
      `[{${ENVELOPE}},{${ENVELOPE},"traceparent":"${OTHER}"}]`,
    );
    expect(events.map(({ trace }) => trace.traceparent)).toEqual([TRACE, OTHER]);
  });
});
