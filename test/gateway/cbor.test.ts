import { encode } from 'cborg';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startGateway } from './harness.ts';

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({
    yaml: `
gateway: { limits: { batch: 20, event: 4kB, body: 200kB, decompressed: 400kB } }
sources:
  s: { protocol: events, topic: s, id: [/id], time: /ts, key: /dev }
  any: { protocol: events, topic: any, id: content, schema: number }
  senml: { protocol: events, topic: senml }
`,
    schemas: { number: { type: 'object', properties: { n: { type: 'number' } } } },
  });
});
afterAll(() => gateway.close());

interface Answer {
  status: number;
  accepted: number;
  duplicates: number;
  type?: string;
  detail?: string;
  events: { index: number; errors: { code: string; pointer?: string; detail: string }[] }[];
}

/** Bytes from hex, or the library's own encoding of a value. */
const bytesOf = (value: unknown) =>
  new Uint8Array(typeof value === 'string' ? Buffer.from(value.replaceAll(' ', ''), 'hex') : encode(value));

async function send(value: unknown, source = 's', type = 'application/cbor'): Promise<Answer> {
  const response = await fetch(`${gateway.url}/events/${source}`, {
    method: 'POST',
    body: bytesOf(value),
    headers: { 'content-type': type },
  });
  return { status: response.status, ...((await response.json()) as object) } as Answer;
}

const text = (bytes: Uint8Array | null | undefined) => (bytes ? Buffer.from(bytes).toString() : null);
const values = async (topic: string) => (await gateway.read(topic)).map((record) => text(record.value));
/** Hex of `{"n": item}`. */
const member = (hex: string) => `a1616e${hex}`;

describe('application/cbor', () => {
  it('takes a map or an array of maps, and stores each as JSON with the ids, times and keys of its source', async () => {
    const one = await send({
      id: 1,
      ts: 1_700_000_000,
      dev: 'd1',
      ok: true,
      gone: null,
      list: [1.5, -7, 'é"'],
    });
    expect([one.status, one.accepted]).toEqual([202, 1]);
    expect((await send([{ id: 2 }, { id: 3 }, { id: 1, ts: 1_700_000_000 }])).duplicates).toBe(1);
    expect((await send([])).status).toBe(202);
    const [first, ...others] = await gateway.read('s');
    // The library sorts keys by length, then by byte.
    expect(text(first!.value)).toBe(
      '{"id":1,"ok":true,"ts":1700000000,"dev":"d1","gone":null,"list":[1.5,-7,"é\\""]}',
    );
    const names = ['ce_id', 'ce_time', 'content-type', 'ce_type'];
    expect(names.map((name) => text(first!.headers[name]))).toEqual([
      '1',
      '2023-11-14T22:13:20.000Z',
      'application/json',
      'postern.s',
    ]);
    expect(text(first!.key)).toBe('d1');
    expect(others.map((record) => text(record.value))).toEqual(['{"id":2}', '{"id":3}']);
  });

  it('C12 keeps integers of any size, floats and decimal fractions exactly', async () => {
    const cases: [string, string][] = [
      ['1b0020000000000001', '9007199254740993'],
      ['1bffffffffffffffff', '18446744073709551615'],
      ['3bffffffffffffffff', '-18446744073709551616'],
      ['c249010000000000000000', '18446744073709551616'],
      ['c349010000000000000000', '-18446744073709551617'],
      ['c24100', '0'],
      ['c48221196ab3', '27315e-2'],
      ['c482390190c249010000000000000000', '18446744073709551616e-401'],
      ['f93c00', '1'],
      ['f98000', '-0'],
      ['fa3dcccccd', '0.10000000149011612'],
      ['fb3fb999999999999a', '0.1'],
      ['fb7e37e43c8800759c', '1e+300'],
      ['1800', '0'],
    ];
    for (const [hex, json] of cases) {
      expect([hex, (await send(member(hex), 'any')).status]).toEqual([hex, 202]);
      expect(await values('any')).toContain(`{"n":${json}}`);
    }
  });

  it('has a defined form for byte strings, tags, integer keys and lengths that are not announced', async () => {
    const cases: [string, string][] = [
      ['a1617843fffefd', '{"x":"__79"}'],
      ['a1617840', '{"x":""}'],
      ['a16178c074323031332d30332d32315432303a30343a30305a', '{"x":"2013-03-21T20:04:00Z"}'],
      ['a16178d82076687474703a2f2f7777772e6578616d706c652e636f6d', '{"x":"http://www.example.com"}'],
      ['d9d9f7a1617801', '{"x":1}'],
      ['a20161612062000a', '{"1":"a","-1":"\\u0000\\n"}'],
      ['bf6178 9f01 9f ff ff 6179 bf ff ff', '{"x":[1,[]],"y":{}}'],
      ['a1617863efbbbf', '{"x":"\ufeff"}'],
      ['a1695f5f70726f746f5f5fa0', '{"__proto__":{}}'],
    ];
    for (const [hex, json] of cases) {
      expect([hex, (await send(hex, 'any')).status]).toEqual([hex, 202]);
      expect(await values('any')).toContain(json);
    }
  });

  it('refuses one by one what has no JSON form, and keeps it as it came', async () => {
    const bad: [string, string][] = [
      ['a1616ef97e00', '#/n'],
      ['a1616ef97c00', '#/n'],
      ['a1616ef7', '#/n'],
      ['a1616ea1617e81f7', '#/n/~0/0'],
      ['a2616101616102', '#/a'],
      ['a20101613102', '#/1'],
      ['a1f501', '#'],
      ['a1410101', '#'],
      ['a1616ec2590101'.concat('ff'.repeat(257)), '#/n'],
    ];
    const body = `98${(bad.length + 1).toString(16).padStart(2, '0')}${bad.map(([hex]) => hex).join('')}a16269646474616c6c`;
    const answer = await send(body);
    expect([answer.status, answer.accepted]).toEqual([207, 1]);
    expect(answer.events.map(({ errors }) => [errors[0]!.code, errors[0]!.pointer])).toEqual(
      bad.map(([, pointer]) => ['not_cbor', pointer]),
    );
    const rejected = await gateway.read('s.rejected');
    expect(rejected.map(({ value }) => Buffer.from(value!).toString('hex'))).toEqual(bad.map(([hex]) => hex));
    expect(text(rejected[0]!.headers['content-type'])).toBe('application/cbor');
    for (const hex of ['01', '6161', '8101', '8180']) {
      const { status, events } = await send(hex);
      expect([hex, status, events[0]!.errors[0]!.code]).toEqual([hex, 422, 'not_an_object']);
    }
  });

  it('answers 400 for what is no CBOR, whatever lengths it announces', async () => {
    const broken = [
      'a1',
      'a16161',
      'ff',
      'a1ff01',
      'a16161ff',
      '81ff',
      '9f',
      'a1616001ff',
      'a0a0',
      'a0ff',
      '1c',
      'a1617863fffefd',
      'a17f6161ff01',
      'a161785f4101ff',
      'a16178e0',
      'a16178f8ff',
      'a16178c4820102ff',
      'a16178c40102',
      'a16178c2616100',
      'a16178c1',
      'a180a0',
      'a16178f97e',
      '9bffffffffffffffff',
      '9b001fffffffffffffa0',
      'bb001fffffffffffff616100',
      'bbffffffffffffffff616100',
      'a161785bffffffffffffffff00',
      'a161785b001fffffffffffff00',
      'a161785affffffff00',
      'a161787bffffffffffffffff00',
      'a161787b001fffffffffffff00',
      'a161789b001fffffffffffff00',
    ];
    for (const hex of broken) {
      const { status, type, detail } = await send(hex);
      expect([hex, status, type]).toEqual([hex, 400, 'urn:postern:problem:not_cbor']);
      expect(detail).not.toContain('decode error');
    }
    const empty = await send('');
    expect([empty.status, empty.type]).toEqual([400, 'urn:postern:problem:empty_body']);
  });

  it('caps depth, events, and what one of them and all of them become as JSON', async () => {
    for (const opener of ['81', '9f', 'a16161', 'a161618161c1']) {
      const deep = await send(opener.repeat(10_000));
      expect([opener, deep.status, deep.type]).toEqual([
        opener,
        opener.endsWith('c1') ? 400 : 422,
        `urn:postern:problem:${opener.endsWith('c1') ? 'not_cbor' : 'too_deep'}`,
      ]);
    }
    expect((await send('c1'.repeat(50_000))).status).toBe(400);
    expect((await send('c1'.repeat(100_000))).type).toBe('urn:postern:problem:too_many_values');
    const nested = (levels: number) => `a1626964${'81'.repeat(levels - 1)}01`;
    expect((await send(nested(64))).events[0]!.errors[0]!.code).toBe('id_invalid');
    expect((await send(nested(65))).type).toBe('urn:postern:problem:too_deep');
    const many = await send(Array.from({ length: 21 }, (_, id) => ({ id })));
    expect([many.status, many.detail]).toEqual([413, expect.stringContaining('20')]);
    const large = await send([{ id: 'large', t: '\u0000'.repeat(700) }, { id: 'beside' }]);
    expect(large.events.map(({ index, errors }) => [index, errors[0]!.code])).toEqual([
      [0, 'event_too_large'],
    ]);
    const one = await send([{ id: 'alone', t: '\u0000'.repeat(90_000) }]);
    expect([one.status, one.events[0]!.errors[0]!.code]).toEqual([413, 'event_too_large']);
    expect(gateway.bufferedBytes()).toBe(0);
  });

  it('gives back as JSON what the library encodes', async () => {
    const key = fc.string({ minLength: 1, maxLength: 5, unit: 'grapheme' });
    const scalar = fc.oneof(
      fc.string({ maxLength: 8, unit: 'grapheme' }),
      fc.integer(),
      fc.double(),
      fc.boolean(),
    );
    const json = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        // The library writes -0 as 0.
        scalar.filter(
          (value) => typeof value !== 'number' || (Number.isFinite(value) && !Object.is(value, -0)),
        ),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(key, tie('value'), { maxKeys: 3 }),
      ),
    })).value;
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.dictionary(key, json, { maxKeys: 4 }), async (value) => {
        const id = `fc${count++}`;
        expect((await send([{ data: value, id }])).accepted).toBe(1);
        const stored = (await values('s')).find((one) => one!.includes(`"${id}"`))!;
        expect((JSON.parse(stored) as { data: unknown }).data).toEqual(value);
      }),
      { numRuns: 25 },
    );
  });
});

describe('application/senml+cbor', () => {
  const SENML = 'application/senml+cbor';

  it('reads the labels of RFC 8428 section 6, and is one with the same pack in JSON', async () => {
    // The example of RFC 8428 section 6, cut to two records.
    const pack =
      '82a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223614120050067766f6c74616765' +
      '01615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333';
    const answer = await send(pack, 'senml', SENML);
    expect([answer.status, answer.accepted]).toEqual([202, 2]);
    expect(await values('senml')).toEqual([
      '{"bver":5,"n":"urn:dev:ow:10e2073a0108006:current","u":"A","v":1.2,"t":1276020071.001}',
      '{"bver":5,"n":"urn:dev:ow:10e2073a0108006:voltage","u":"V","v":120.1,"t":1276020076.001}',
    ]);
    const json = await fetch(`${gateway.url}/events/senml`, {
      method: 'POST',
      body: '[{"bver":5,"n":"urn:dev:ow:10e2073a0108006:current","t":1276020071.001,"u":"A","v":1.2}]',
      headers: { 'content-type': 'application/senml+json' },
    });
    expect(((await json.json()) as Answer).duplicates).toBe(1);
  });

  it('takes data values, decimal fractions and 64-bit integers', async () => {
    const pack = [
      new Map<unknown, unknown>([
        [-2, 'c:'],
        [-3, 1_700_000_000],
        [0, 'd'],
        [8, new Uint8Array([255, 254])],
      ]),
      new Map<unknown, unknown>([
        [0, 'big'],
        [2, 9_007_199_254_740_993n],
        [99, 'unknown'],
        ['x', 1],
      ]),
    ];
    expect((await send(pack, 'senml', SENML)).accepted).toBe(2);
    expect((await send('81a3 00 63632f66 06 1a6553f100 02 c48221196ab3', 'senml', SENML)).accepted).toBe(1);
    expect((await values('senml')).filter((value) => value!.startsWith('{"n":"c'))).toEqual([
      '{"n":"c:d","vd":"__4","t":1700000000}',
      '{"n":"c:big","v":9007199254740993,"t":1700000000,"99":"unknown","x":1}',
      '{"n":"c/f","v":27315e-2,"t":1700000000}',
    ]);
  });

  it('refuses a pack whose fields have no JSON form, that is no array, or that must be understood', async () => {
    const cases: [unknown, string, string][] = [
      ['81a2006161 02f97e00', 'not_cbor', 'record 0#/v'],
      ['a100616102 01'.replace('a1', 'a2'), 'bad_senml', 'array of records'],
      ['81a1646c61625f01', 'bad_senml', 'ends in _'],
      ['81a30061610201616e6162', 'not_cbor', 'record 0#/n'],
      ['80', 'bad_senml', 'at least one'],
      ['81a2006161', 'not_cbor', 'cut short'],
    ];
    for (const [pack, code, detail] of cases) {
      const answer = await send(pack, 'senml', SENML);
      expect([pack, answer.status, answer.type, answer.detail]).toEqual([
        pack,
        400,
        `urn:postern:problem:${code}`,
        expect.stringContaining(detail),
      ]);
    }
  });

  it('takes ids from the body as sent when times are relative', async () => {
    const pack = [
      new Map<unknown, unknown>([
        [0, 'now'],
        [2, 1],
      ]),
    ];
    expect((await send(pack, 'senml', SENML)).accepted).toBe(1);
    expect((await send(pack, 'senml', SENML)).duplicates).toBe(1);
  });
});
