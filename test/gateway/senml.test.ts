import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { type Harness, startGateway } from './harness.ts';

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({
    yaml: `
gateway: { limits: { batch: 20, event: 2kB } }
sources:
  s: { protocol: events, topic: s }
  order: { protocol: events, topic: order }
  own: { protocol: events, topic: own, id: [/n, /t], type: /u, subject: /vs, key: /n, schema: reading }
`,
    schemas: { reading: { type: 'object', required: ['n', 't', 'u'], properties: { v: { maximum: 100 } } } },
  });
});
afterAll(() => gateway.close());

interface Answer {
  status: number;
  accepted: number;
  duplicates: number;
  rejected: number;
  type?: string;
  detail?: string;
  events: { index: number; verdict: string; errors: { code: string; pointer?: string; detail: string }[] }[];
}

async function send(pack: unknown, options: { source?: string; headers?: Record<string, string> } = {}) {
  const response = await fetch(`${gateway.url}/events/${options.source ?? 's'}`, {
    method: 'POST',
    body: typeof pack === 'string' ? pack : JSON.stringify(pack),
    headers: { 'content-type': 'application/senml+json', ...options.headers },
  });
  return { status: response.status, ...((await response.json()) as object) } as Answer;
}

const text = (bytes: Uint8Array | null | undefined) => (bytes ? Buffer.from(bytes).toString() : null);
const header = (record: StoredRecord, name: string) => text(record.headers[name]);
/** What is stored of the records whose name begins with a device's. */
async function stored(device: string, topic = 's') {
  const records = await gateway.read(topic);
  return records.filter((record) => text(record.value)?.startsWith(`{"n":"${device}`));
}
const values = async (device: string) => (await stored(device)).map((record) => text(record.value));

describe('SenML packs', () => {
  it('makes one event per record, resolved, with its name, time and device', async () => {
    const answer = await send(
      '[{"bn":"urn:dev:ow:10e2:","bt":1.276020076001e+09,"bu":"A","bver":10,"n":"voltage","u":"V","v":120.1},' +
        '{"n":"current","t":-5,"v":1.20},{"n":"current","t":-4.5,"v":1.3e0}]',
    );
    expect([answer.status, answer.accepted]).toEqual([202, 3]);
    const records = await stored('urn:dev:ow:10e2:');
    expect(records.map((record) => text(record.value))).toEqual([
      '{"n":"urn:dev:ow:10e2:current","u":"A","v":1.20,"t":1276020071.001}',
      '{"n":"urn:dev:ow:10e2:current","u":"A","v":1.3e0,"t":1276020071.501}',
      '{"n":"urn:dev:ow:10e2:voltage","u":"V","v":120.1,"t":1276020076.001}',
    ]);
    const last = records[2]!;
    expect(
      ['ce_type', 'ce_subject', 'ce_time', 'content-type', 'ce_source'].map((name) => header(last, name)),
    ).toEqual([
      'senml.measurement',
      'urn:dev:ow:10e2:voltage',
      '2010-06-08T18:01:16.001Z',
      'application/json',
      '/events/s',
    ]);
    expect(header(last, 'ce_id')).toMatch(/^urn:dev:ow:10e2:voltage:1276020076\.001:[0-9a-f]{16}$/);
    expect(text(last.key)).toBe('urn:dev:ow:10e2');
  });

  it('holds base values until they are replaced, and adds them exactly', async () => {
    await send(
      '[{"bn":"base1/","bt":1700000000,"bv":20.1,"bs":1000,"n":"a","v":0.02,"s":0.5},{"n":"b","v":-20.1},' +
        '{"bn":"base2/","bt":1700000100.25,"bv":9007199254740993,"n":"a","v":1},{"n":"b","vs":"x","t":0.000001},' +
        '{"bv":0,"n":"c","v":12},{"n":"d","s":1e2}]',
    );
    expect([...(await values('base1/')), ...(await values('base2/'))]).toEqual([
      '{"n":"base1/a","v":20.12,"s":1000.5,"t":1700000000}',
      '{"n":"base1/b","v":0,"t":1700000000}',
      '{"n":"base2/a","v":9007199254740994,"t":1700000100.25}',
      '{"n":"base2/c","v":12,"t":1700000100.25}',
      '{"n":"base2/d","s":1100,"t":1700000100.25}',
      '{"n":"base2/b","vs":"x","t":1700000100.250001}',
    ]);
    const fine = (await stored('base2/b'))[0]!;
    expect(header(fine, 'ce_time')).toBe('2023-11-14T22:15:00.250001000Z');
  });

  it('C12 keeps numbers as they were written, or refuses the record', async () => {
    const numbers = [
      '9007199254740993',
      '1e400',
      '1.0',
      '-0',
      '0.1000000000000000055511151231257827',
      '1E-7',
    ];
    await send(`[${numbers.map((v, i) => `{"n":"num${i}","t":1700000000,"v":${v}}`).join(',')}]`);
    expect(await values('num')).toEqual(numbers.map((v, i) => `{"n":"num${i}","v":${v},"t":1700000000}`));
    const answer = await send(
      '[{"bt":1700000000,"bv":1,"n":"big","v":1e999999999},{"n":"big","v":1e400},{"n":"fits","v":1e2}]',
    );
    expect(answer.events.map(({ index, errors }) => [index, errors[0]!.code, errors[0]!.pointer])).toEqual([
      [0, 'bad_senml', '#/v'],
      [1, 'bad_senml', '#/v'],
    ]);
    expect(await values('fits')).toEqual(['{"n":"fits","v":101,"t":1700000000}']);
  });

  it('stores every kind of value, the update time, and labels that it does not know', async () => {
    await send(
      '[{"bn":"kind:","bt":1700000000,"n":"s","vs":"a\\u0000\\"é"},{"n":"b","vb":false},{"n":"d","vd":"AP8-_w"},' +
        '{"n":"e","vs":"","ut":60.50,"x":{"a":[1.0]},"y":1e400}]',
    );
    expect(await values('kind:')).toEqual([
      '{"n":"kind:s","vs":"a\\u0000\\"é","t":1700000000}',
      '{"n":"kind:b","vb":false,"t":1700000000}',
      '{"n":"kind:d","vd":"AP8-_w","t":1700000000}',
      '{"n":"kind:e","vs":"","t":1700000000,"ut":60.50,"x":{"a":[1.0]},"y":1e400}',
    ]);
  });

  it('stores in time order, and answers by place in the pack', async () => {
    const pack = [30, 10, 20].map((t) => ({ n: 'later', t: 1_700_000_000 + t, v: t }));
    const answer = await send([...pack, { n: '-bad', t: 1_700_000_000, v: 1 }], { source: 'order' });
    expect([answer.status, answer.events.map(({ index }) => index)]).toEqual([207, [3]]);
    const records = await stored('later', 'order');
    expect(records.map((record) => (JSON.parse(text(record.value)!) as { v: number }).v)).toEqual([
      10, 20, 30,
    ]);
  });

  it('takes an older version, and says so in each record', async () => {
    await send([
      { bver: 5, bn: 'old', bt: 1_700_000_000, v: 1 },
      { v: 2, t: 1 },
    ]);
    const records = (await gateway.read('s')).map((record) => text(record.value));
    expect(records).toContain('{"bver":5,"n":"old","v":1,"t":1700000000}');
    expect(records).toContain('{"bver":5,"n":"old","v":2,"t":1700000001}');
  });
});

describe('SenML ids', () => {
  it('stores a reading once, however its pack was made, and keeps two readings of one moment apart', async () => {
    await send([{ bn: 'dev1:', bt: 1_700_000_000, n: 'temp', u: 'Cel', v: 21.5 }]);
    const again = await send([
      { n: 'dev1:temp', u: 'Cel', v: 21.5, t: 1_700_000_000 },
      { n: 'dev1:temp', u: 'Cel', v: 21.6, t: 1_700_000_000 },
      { n: 'dev1:temp', u: 'K', v: 21.5, t: 1_700_000_000 },
    ]);
    expect([again.accepted, again.duplicates, again.events.map(({ index }) => index)]).toEqual([2, 1, [0]]);
  });

  it('takes ids from the body when times are relative, or from Idempotency-Key', async () => {
    const pack = [
      { bn: 'rel:', n: 'a', v: 1 },
      { n: 'b', v: 1, t: -3600 },
    ];
    const before = Date.now();
    expect((await send(pack)).accepted).toBe(2);
    const after = Date.now();
    expect((await send(pack)).duplicates).toBe(2);
    const keyed = { headers: { 'idempotency-key': 'boot-7' } };
    expect((await send(pack, keyed)).accepted).toBe(2);
    expect((await send(pack, keyed)).duplicates).toBe(2);
    expect((await send([{ n: 'rel:c', v: 1 }], { headers: { 'idempotency-key': 'boot-8' } })).accepted).toBe(
      1,
    );
    const records = await stored('rel:');
    expect(records.map((record) => header(record, 'ce_id'))).toEqual([
      expect.stringMatching(/^[0-9a-f]{64}\/1$/),
      expect.stringMatching(/^[0-9a-f]{64}\/0$/),
      'boot-7/1',
      'boot-7/0',
      'boot-8',
    ]);
    const [hourAgo, now] = records.map(
      (record) => (JSON.parse(text(record.value)!) as { t: number }).t * 1000,
    );
    expect(Math.round(now! - hourAgo!)).toBe(3_600_000);
    expect(Math.round(now!)).toBeGreaterThanOrEqual(before);
    expect(Math.round(now!)).toBeLessThanOrEqual(after);
    expect(Date.parse(header(records[1]!, 'ce_time')!)).toBe(Math.round(now!));
  });

  it('follows a source that names its own id, type, subject, key and schema', async () => {
    const options = { source: 'own' };
    const pack = [
      { bn: 'd9:', bt: 1_700_000_000, n: 'x', u: 'W', v: 5 },
      { n: 'y', u: 'W', v: 101 },
      { n: 'z', v: 1 },
      { n: 'w', u: 'W', vs: 'on' },
    ];
    const answer = await send(pack, options);
    expect(answer.events.map(({ index, errors }) => [index, errors[0]!.code, errors[0]!.pointer])).toEqual([
      [1, 'schema_mismatch', '#/v'],
      [2, 'attribute_invalid', '#/u'],
    ]);
    const records = await stored('d9:', 'own');
    expect(
      records.map((record) => [
        ...['ce_id', 'ce_type', 'ce_subject'].map((name) => header(record, name)),
        text(record.key),
      ]),
    ).toEqual([
      ['d9%3Ax:1700000000', 'W', null, 'd9:x'],
      ['d9%3Aw:1700000000', 'W', 'on', 'd9:w'],
    ]);
    expect((await send(pack, options)).duplicates).toBe(2);
  });
});

describe('what is wrong with SenML', () => {
  it('refuses records one by one, naming the field', async () => {
    const cases: [Record<string, unknown>, string][] = [
      [{ v: 1 }, '#/n'],
      [{ n: 'a b', v: 1 }, '#/n'],
      [{ n: '-a', v: 1 }, '#/n'],
      [{ n: 'é', v: 1 }, '#/n'],
      [{ n: 5, v: 1 }, '#/n'],
      [{ n: 'a' }, '#/v'],
      [{ n: 'a', v: '1' }, '#/v'],
      [{ n: 'a', v: null }, '#/v'],
      [{ n: 'a', v: 1, vs: '1' }, '#/vs'],
      [{ n: 'a', vs: 1 }, '#/vs'],
      [{ n: 'a', vb: 'true' }, '#/vb'],
      [{ n: 'a', vd: 'AP8+' }, '#/vd'],
      [{ n: 'a', vd: 'AA==' }, '#/vd'],
      [{ n: 'a', s: '1' }, '#/s'],
      [{ n: 'a', v: 1, t: 'now' }, '#/t'],
      [{ n: 'a', v: 1, t: 1e12 }, '#/t'],
      [{ n: 'a', v: 1, ut: true }, '#/ut'],
      [{ n: 'a', v: 1, u: 1 }, '#/u'],
    ];
    const good = { n: 'beside', t: 1_700_000_000 };
    for (const [index, [record, pointer]] of cases.entries()) {
      const answer = await send([record, { ...good, v: index }]);
      expect([record, answer.status, answer.accepted]).toEqual([record, 207, 1]);
      expect(answer.events).toEqual([
        expect.objectContaining({
          index: 0,
          errors: [expect.objectContaining({ code: 'bad_senml', pointer })],
        }),
      ]);
    }
    expect((await send([{ n: 'a' }])).status).toBe(400);
    const rejected = await gateway.read('s.rejected');
    expect(rejected.map((record) => text(record.value))).toContain('{"n":"a b","v":1}');
  });

  it('refuses a pack that cannot be read as a whole', async () => {
    const ok = { n: 'ok', v: 1, t: 1_700_000_000 };
    const packs: [unknown, string][] = [
      [[{ ...ok, bver: 11 }], 'bver is over 10'],
      [[{ ...ok, bver: 0 }], 'positive'],
      [[{ ...ok, bver: 1.5 }], 'positive'],
      [[{ ...ok, bver: '10' }], 'positive'],
      [[ok, { ...ok, bver: 9 }], 'one version'],
      [
        [
          { ...ok, bver: 9 },
          { ...ok, bver: 10 },
        ],
        'one version',
      ],
      [[ok, { ...ok, n: 'x', foo_: 1 }], 'record 1 has a label that ends in _'],
      [[{ ...ok, bn: 5 }], 'bn must be text'],
      [[{ ...ok, bn: 'x'.repeat(257) }], 'at most 256'],
      [[{ ...ok, bt: '1' }], 'bt must be a number'],
      ['[{"n":"ok","v":1,"bt":1e401}]', 'bt must be a number'],
      [[{ ...ok, bv: null }], 'bv must be a number'],
      [[{ ...ok, bs: {} }], 'bs must be a number'],
      [[{ ...ok, bu: 1 }], 'bu must be text'],
      [[5], 'record 0 is not an object'],
      [[[ok]], 'record 0 is not an object'],
      [[], 'at least one record'],
      [ok, 'must be a JSON array'],
    ];
    for (const [pack, detail] of packs) {
      const answer = await send(pack);
      expect([pack, answer.status, answer.type, answer.detail]).toEqual([
        pack,
        400,
        'urn:postern:problem:bad_senml',
        expect.stringContaining(detail),
      ]);
    }
    for (const [body, code] of [
      ['', 'empty_body'],
      ['[{"n":"a"', 'not_json'],
      ['[{"n":}]', 'not_json'],
    ]) {
      expect([body, (await send(body)).type]).toEqual([body, `urn:postern:problem:${code}`]);
    }
    expect(await stored('ok')).toEqual([]);
  });

  it('caps records, their size and their depth, and what base values add to them', async () => {
    const record = { n: 'cap', v: 1, t: 1_700_000_000 };
    const many = await send(Array.from({ length: 21 }, () => record));
    expect([many.status, many.detail]).toEqual([413, expect.stringContaining('20')]);
    const large = await send([record, { ...record, vs: 'x'.repeat(2000) }]);
    expect([large.status, large.detail]).toEqual([413, expect.stringMatching(/^record 1: .*2000/)]);
    const deep = await send(`[{"n":"cap","v":1,"x":${'['.repeat(70)}${']'.repeat(70)}}]`);
    expect([deep.status, deep.detail]).toEqual([422, expect.stringContaining('64')]);
    const digits = await send(`[{"n":"cap","bt":1700000000,"bv":0,"v":${'1'.repeat(401)}}]`);
    expect([digits.status, digits.events[0]!.errors[0]!.pointer]).toEqual([400, '#/v']);
    const grown = await send([
      { bn: `c${'x'.repeat(200)}`, bt: 1_700_000_000, v: 1 },
      { n: 'y', vs: 'v'.repeat(1900) },
    ]);
    expect(grown.events.map(({ index, errors }) => [index, errors[0]!.code])).toEqual([
      [1, 'event_too_large'],
    ]);
    expect(await stored('cap')).toEqual([]);
  });
});
