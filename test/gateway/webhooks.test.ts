import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startGateway } from './harness.ts';
import { rawExchange, wholeReply } from './raw.ts';
import { deviceHeaders, githubHeaders, hmac, type Sent, seconds, slackHeaders } from './signing.ts';

const YAML = `
gateway:
  limits: { event: 20kB, depth: 8, id: 64 }
sources:
  github: { protocol: webhook, topic: github, verify: { scheme: github, secrets: [gh-new, gh-old] }, key: /repo }
  strict: { protocol: webhook, topic: strict, verify: { scheme: github, secrets: [gh-new] }, schema: order }
  shop: { protocol: webhook, topic: shop, verify: { scheme: shopify, secrets: [shop] } }
  stripe: { protocol: webhook, topic: stripe, verify: { scheme: stripe, secrets: [st] } }
  slack: { protocol: webhook, topic: slack, verify: { scheme: slack, secrets: [sl] } }
  standard: { protocol: webhook, topic: standard, verify: { scheme: standard, secrets: [whsec_c2VjcmV0] } }
  x: { protocol: webhook, topic: x, verify: { scheme: twitter, secrets: [xx, older] } }
  custom:
    protocol: webhook
    topic: custom
    verify: { scheme: hmac, secrets: [cu], header: X-Sig, id: X-Delivery }
    id: [/n]
    type: /kind
    time: /at
    subject: /who
  delivery: { protocol: webhook, topic: delivery, verify: { scheme: hmac, secrets: [cu], header: X-Sig, id: X-Delivery } }
  whole:
    protocol: webhook
    topic: whole
    verify: { scheme: hmac, secrets: [cu], header: X-Sig, id: X-Delivery, template: '{id}.{body}' }
    id: [/n]
  keyed: { protocol: webhook, topic: keyed, keys: [open-sesame] }
  devices: { protocol: events, topic: devices, verify: { scheme: device, secrets: [master] }, id: [/seq] }
`;
const ORDER = { type: 'object', required: ['total'], properties: { total: { type: 'number' } } };

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({ yaml: YAML, schemas: { order: ORDER } });
});
afterAll(() => gateway.close());

const JSON_TYPE = { 'content-type': 'application/json' };
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

type Body = string | Uint8Array<ArrayBuffer>;
const post = (source: string, body: Body, headers: Sent = {}) =>
  fetch(`${gateway.url}/webhooks/${source}`, { method: 'POST', body, headers });

interface Stored {
  key: string | null;
  value: string | null;
  headers: Sent;
}
async function stored(topic: string): Promise<Stored[]> {
  const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString());
  return (await gateway.read(topic)).map(({ key, value, headers }) => ({
    key: text(key),
    value: text(value),
    headers: Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, text(bytes)!])),
  }));
}
/** The only record of an id. */
async function one(topic: string, id: string): Promise<Stored> {
  const found = (await stored(topic)).filter(({ headers }) => headers.ce_id === id);
  expect([topic, id, found.length]).toEqual([topic, id, 1]);
  return found[0]!;
}

let deliveries = 0;
const nextId = () => `delivery-${deliveries++}`;
const github = (body: Body, headers: Sent = JSON_TYPE, id = nextId(), event = 'push', secret = 'gh-new') =>
  post('github', body, { ...headers, ...githubHeaders(secret, body, event, id) });
const shopify = (body: string) => ({
  ...JSON_TYPE,
  'x-shopify-hmac-sha256': hmac('shop', body, 'base64'),
  'x-shopify-topic': 'orders/create',
});
const stripe = (body: string, time = seconds()) => ({
  ...JSON_TYPE,
  'stripe-signature': `t=${time},v1=${hmac('st', `${time}.${body}`)}`,
});
const slack = (body: string, type: Sent = JSON_TYPE) => ({ ...type, ...slackHeaders('sl', body) });
const standard = (body: string, id: string, time = seconds()) => ({
  ...JSON_TYPE,
  'webhook-id': id,
  'webhook-timestamp': String(time),
  'webhook-signature': `v1,${hmac('secret', `${id}.${time}.${body}`, 'base64')}`,
});
const custom = (body: Body, headers: Sent = JSON_TYPE) =>
  post('custom', body, { ...headers, 'x-sig': hmac('cu', body) });

describe('bytes', () => {
  it('C60 are checked and stored as they came', async () => {
    const bodies = [
      '{ "a" : 1 }',
      '{"a":1.0,\r\n\t"b":2}',
      '{"a":"\\/ \\u2028 \u2028"}',
      '{"a":1}\n',
      ' {"a":1,"a":2}',
      '{"a":9007199254740993}',
      '[{"a":1},{"a":2}]',
      '"text"',
      'null',
    ];
    for (const body of bodies) {
      const id = nextId();
      expect([body, (await github(body, JSON_TYPE, id)).status]).toEqual([body, 202]);
      const record = await one('github', id);
      expect(record.value).toBe(body);
      expect(record.headers).toMatchObject({
        ce_source: '/webhooks/github',
        'content-type': 'application/json',
      });
      const headers = { ...JSON_TYPE, ...githubHeaders('gh-new', body, 'push', nextId()) };
      expect([body, (await post('github', `${body} `, headers)).status]).toEqual([body, 401]);
    }
  });

  it('C60 a compressed delivery is signed as sent, and stored without the compression', async () => {
    const text = '{"compressed":1.0}';
    const zip = new Uint8Array(gzipSync(text));
    const gzip = { ...JSON_TYPE, 'content-encoding': 'gzip' };
    const id = nextId();
    expect((await github(zip, gzip, id)).status).toBe(202);
    expect((await one('github', id)).value).toBe(text);
    const inner = { ...gzip, ...githubHeaders('gh-new', text, 'push', nextId()) };
    expect((await post('github', zip, inner)).status).toBe(401);
    const junk = new Uint8Array([1, 2, 3]);
    expect((await github(junk, gzip)).status).toBe(400);
    expect((await post('github', junk, { ...gzip, 'x-hub-signature-256': 'sha256=00' })).status).toBe(401);
  });

  it('C63 takes the JSON out of a form, after checking the form', async () => {
    const json = '{"n":1.0,"s":"a+b & é"}';
    const body = `payload=${encodeURIComponent(json).replaceAll('%20', '+')}`;
    const id = nextId();
    expect((await github(body, FORM, id)).status).toBe(202);
    const record = await one('github', id);
    expect([record.value, record.headers['content-type']]).toEqual([json, 'application/json']);
    const bad = nextId();
    expect((await github('payload=%7B%22a', FORM, bad)).status).toBe(202);
    expect((await one('github.rejected', bad)).headers.postern_errors).toContain('not_json');
    const broken = nextId();
    expect((await github('a=%E0%A4', FORM, broken)).status).toBe(202);
    const kept = await one('github.rejected', broken);
    expect([kept.value, kept.headers.postern_errors]).toEqual([
      'a=%E0%A4',
      expect.stringContaining('bad_webhook'),
    ]);
  });

  it('C63 stores what is not JSON with its type', async () => {
    const odd: [string, Body, string][] = [
      ['application/xml', '<a>1</a>', '<a>1</a>'],
      ['text/plain', 'all is well', 'all is well'],
      ['text/plain', '{not json', '{not json'],
      ['multipart/form-data; boundary=b', '--b\r\n\r\n--b--', '--b\r\n\r\n--b--'],
    ];
    for (const [type, body, value] of odd) {
      const id = nextId();
      expect([type, (await github(body, { 'content-type': type }, id)).status]).toEqual([type, 202]);
      const record = await one('github', id);
      expect([record.value, record.headers['content-type']]).toEqual([value, type]);
    }
    const id = nextId();
    expect((await github('{"repo":"r7"}', { 'content-type': 'text/plain; charset=UTF-8' }, id)).status).toBe(
      202,
    );
    const record = await one('github', id);
    expect([record.key, record.headers['content-type']]).toEqual(['r7', 'application/json']);
    const bytes = new Uint8Array([0xff, 0x00, 0xfe]);
    const binary = nextId();
    expect((await github(bytes, { 'content-type': 'application/octet-stream' }, binary)).status).toBe(202);
    const records = await gateway.read('github');
    const found = records.find(({ headers }) => Buffer.from(headers.ce_id!).toString() === binary);
    expect(Buffer.from(found!.value!)).toEqual(Buffer.from(bytes));
  });
});

it('C60 C63 whatever is signed is stored, in its topic or with the rejected ones', async () => {
  const types = ['application/json', 'text/plain', FORM['content-type'], 'application/octet-stream', 'a', ''];
  const pieces = fc.oneof(
    fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '%',
      '&',
      '=',
      '+',
      'payload=',
      '%7B',
      '\\',
      '\ufeff',
      '1e400',
    ),
    fc.json({ maxDepth: 3 }),
  );
  const text = fc.array(pieces, { minLength: 1, maxLength: 8 }).map((parts) => Buffer.from(parts.join('')));
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 50 }).map((array) => Buffer.from(array));
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...types), fc.oneof(text, bytes), async (type, body) => {
      const reply = await github(new Uint8Array(body), { 'content-type': type }, `any-${sent++}`);
      const { accepted, rejected } = (await reply.json()) as { accepted: number; rejected: number };
      expect([reply.status, accepted + rejected]).toEqual([202, 1]);
    }),
    { numRuns: 150 },
  );
  const kept = [...(await stored('github')), ...(await stored('github.rejected'))];
  expect(kept.filter(({ headers }) => headers.ce_id?.startsWith('any-'))).toHaveLength(sent);
});

describe('refusals', () => {
  it('C61 get one text, whatever is wrong, and say which step refused in the facts alone', async () => {
    const body = '{"a":1}';
    const right = githubHeaders('gh-new', body, 'push', nextId());
    const signature = right['x-hub-signature-256']!;
    const { 'x-hub-signature-256': _, ...unsigned } = right;
    const sha1 = { ...unsigned, 'x-hub-signature': `sha1=${hmac('gh-new', body, 'hex', 'sha1')}` };
    const requests: [string, Sent, string][] = [
      ['github', unsigned, 'missing'],
      ['github', sha1, 'missing'],
      ['github', { ...right, 'x-hub-signature-256': '' }, 'missing'],
      ['github', { ...right, 'x-hub-signature-256': signature.slice(0, -1) }, 'malformed'],
      ['github', { ...right, 'x-hub-signature-256': `${signature}00` }, 'mismatch'],
      ['github', githubHeaders('guess', body, 'push', 'd'), 'mismatch'],
      ['stripe', stripe(body, seconds(-302)), 'expired'],
      ['standard', standard(body, 'old', seconds(-302)), 'expired'],
      ['slack', slackHeaders('sl', body, seconds(302)), 'expired'],
    ];
    const texts = new Set<string>();
    for (const [source, headers, reason] of requests) {
      const reply = await post(source, body, { ...JSON_TYPE, ...headers });
      texts.add(`${reply.status} ${await reply.text()}`);
      expect(gateway.requests.at(-1)).toMatchObject({ source, error: 'unauthorized', signature: reason });
    }
    const twice = await rawExchange(
      gateway.port,
      [
        `POST /webhooks/github HTTP/1.1\r\nhost: x\r\nx-hub-signature-256: ${signature}\r\nx-hub-signature-256: ${signature}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      ],
      wholeReply,
    );
    texts.add(`${twice.slice(9, 12)} ${twice.split('\r\n\r\n')[1]}`);
    expect([...texts]).toEqual([
      expect.stringMatching(/^401 .*"the signature is missing, wrong or expired"/),
    ]);
    expect(gateway.bufferedBytes()).toBe(0);
  });

  it('C62 tell in the facts which secret was used', async () => {
    await github('{}', JSON_TYPE, nextId(), 'push', 'gh-new');
    expect(gateway.requests.at(-1)).toMatchObject({ status: 202, signature: 'secret-1' });
    await github('{}', JSON_TYPE, nextId(), 'push', 'gh-old');
    expect(gateway.requests.at(-1)).toMatchObject({ status: 202, signature: 'secret-2' });
  });

  it('a refused event is kept, and its sender told not to send it again', async () => {
    const body = '{"total":"much"}';
    const headers = { ...JSON_TYPE, ...githubHeaders('gh-new', body, 'order', 'refused-1') };
    const reply = await post('strict', body, headers);
    expect([reply.status, await reply.json()]).toEqual([
      202,
      expect.objectContaining({ accepted: 0, rejected: 1, events: [expect.objectContaining({ index: 0 })] }),
    ]);
    const record = await one('strict.rejected', 'refused-1');
    expect([record.value, record.headers.postern_errors]).toEqual([body, expect.stringContaining('#/total')]);
    const text = 'total: 1';
    const plain = { 'content-type': 'text/plain', ...githubHeaders('gh-new', text, 'order', 'refused-2') };
    expect((await post('strict', text, plain)).status).toBe(202);
    expect((await one('strict.rejected', 'refused-2')).value).toBe(text);
    for (const [id, bad] of Object.entries({ half: '{"total":', deep: `${'['.repeat(9)}${']'.repeat(9)}` })) {
      const sent = { ...JSON_TYPE, ...githubHeaders('gh-new', bad, 'order', id) };
      expect((await post('strict', bad, sent)).status).toBe(202);
      expect((await one('strict.rejected', id)).value).toBe(bad);
    }
    expect(await stored('strict')).toEqual([]);
  });

  it('one whose payload is too large to be kept is no success', async () => {
    const body = JSON.stringify({ text: 'x'.repeat(20_000) });
    const reply = await github(body);
    expect([reply.status, ((await reply.json()) as { rejected: number }).rejected]).toEqual([413, 1]);
    expect((await github('')).status).toBe(400);
    expect((await post('nowhere', '{}')).status).toBe(404);
    expect((await fetch(`${gateway.url}/events/github`, { method: 'POST', body: '{}' })).status).toBe(404);
  });
});

describe('what providers say in their own ways', () => {
  it('GitHub: delivery, event and action; a ping is an event', async () => {
    const zen = '{"zen":"Keep it logically awesome."}';
    expect((await github(zen, JSON_TYPE, 'gh-ping', 'ping')).status).toBe(202);
    expect((await one('github', 'gh-ping')).headers.ce_type).toBe('github.ping');
    await github('{"action":"opened","repo":"o/r"}', JSON_TYPE, 'gh-issue', 'issues');
    const issue = await one('github', 'gh-issue');
    expect([issue.headers.ce_type, issue.key]).toEqual(['github.issues.opened', 'o/r']);
    const again = await github('{"action":"opened","repo":"o/r"}', JSON_TYPE, 'gh-issue', 'issues');
    expect(await again.json()).toMatchObject({ accepted: 0, duplicates: 1 });
  });

  it('Shopify, Stripe and Standard Webhooks: id, type and time', async () => {
    const order = '{"order":1}';
    const headers = {
      ...shopify(order),
      'x-shopify-webhook-id': 'sh-1',
      'x-shopify-triggered-at': '2026-03-29T18:00:27.877041743Z',
    };
    expect((await post('shop', order, headers)).status).toBe(202);
    expect((await one('shop', 'sh-1')).headers).toMatchObject({
      ce_type: 'shopify.orders.create',
      ce_time: '2026-03-29T18:00:27.877041743Z',
    });
    const charge = '{"id":"evt_1","type":"charge.succeeded","created":1700000000}';
    expect((await post('stripe', charge, stripe(charge))).status).toBe(202);
    const again = await post('stripe', charge, stripe(charge, seconds(-3)));
    expect(await again.json()).toMatchObject({ duplicates: 1 });
    expect((await one('stripe', 'evt_1')).headers).toMatchObject({
      ce_type: 'stripe.charge.succeeded',
      ce_time: '2023-11-14T22:13:20.000Z',
    });
    const user = '{"type":"user.created","timestamp":"2026-01-02T03:04:05Z","data":{}}';
    expect((await post('standard', user, standard(user, 'msg_1'))).status).toBe(202);
    expect((await one('standard', 'msg_1')).headers).toMatchObject({
      ce_type: 'standard.user.created',
      ce_time: '2026-01-02T03:04:05Z',
    });
    const bare = '{"type":{"a":1},"timestamp":"yesterday"}';
    expect((await post('standard', bare, standard(bare, 'msg_2'))).status).toBe(202);
    expect((await one('standard', 'msg_2')).headers.ce_type).toBe('postern.standard');
  });

  it('C61 Slack: the handshake is answered only when it is signed, and stored never', async () => {
    const body = '{"type":"url_verification","token":"t","challenge":"3eZbrw1aB"}';
    const unsigned = await post('slack', body, JSON_TYPE);
    expect([unsigned.status, await unsigned.text()]).toEqual([401, expect.not.stringContaining('3eZbrw1aB')]);
    const signed = await post('slack', body, slack(body));
    expect([signed.status, await signed.json()]).toEqual([200, { challenge: '3eZbrw1aB' }]);
    expect(await stored('slack')).toEqual([]);
    const elsewhere = await github(body, JSON_TYPE, 'not-slack');
    expect(elsewhere.status).toBe(202);
  });

  it('C63 Slack: events by their id, commands as an object of their fields; all answered with a bare 200', async () => {
    const event =
      '{"type":"event_callback","event_id":"Ev1","event_time":1700000000,"event":{"type":"app_mention"}}';
    for (let i = 0; i < 2; i++) {
      const reply = await post('slack', event, slack(event));
      expect([reply.status, await reply.text()]).toEqual([200, '']);
    }
    expect((await one('slack', 'Ev1')).headers).toMatchObject({
      ce_type: 'slack.app_mention',
      ce_time: '2023-11-14T22:13:20.000Z',
    });
    const command =
      'command=%2Fweather&text=94070+caf%C3%A9&x=1&x=2&empty=&__proto__=p&trigger_id=13345224609.8';
    for (let i = 0; i < 2; i++) expect((await post('slack', command, slack(command, FORM))).status).toBe(200);
    const records = (await stored('slack')).filter(
      ({ headers }) => headers.ce_type === 'slack.slash_command',
    );
    expect(records.map(({ value }) => value)).toEqual([
      '{"command":"/weather","text":"94070 café","x":["1","2"],"empty":"","__proto__":"p","trigger_id":"13345224609.8"}',
    ]);
    const click = 'payload=%7B%22type%22%3A%22block_actions%22%7D';
    expect((await post('slack', click, slack(click, FORM))).status).toBe(200);
    expect((await stored('slack')).at(-1)).toMatchObject({
      value: '{"type":"block_actions"}',
      headers: { ce_type: 'slack.block_actions' },
    });
  });

  it('X: proves that it knows the secret, of tokens alone', async () => {
    const ask = (path: string) => fetch(`${gateway.url}/webhooks/${path}`);
    const reply = await ask('x?crc_token=MWNkMTQ2-Zj_9.a%3D');
    expect([reply.status, await reply.json()]).toEqual([
      200,
      { response_token: `sha256=${hmac('xx', 'MWNkMTQ2-Zj_9.a=', 'base64')}` },
    ]);
    for (const bad of [
      'x',
      'x?crc_token=',
      'x?crc_token=%7B%22a%22%3A1%7D',
      `x?crc_token=${'a'.repeat(257)}`,
    ])
      expect([bad, (await ask(bad)).status]).toEqual([bad, 400]);
    const other = await ask('github?crc_token=abc');
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
    const body = '{"tweet_create_events":[{"id":1}]}';
    const sign = (secret: string) => ({
      ...JSON_TYPE,
      'x-twitter-webhooks-signature': `sha256=${hmac(secret, body, 'base64')}`,
    });
    expect((await post('x', body, sign('older'))).status).toBe(200);
    expect((await post('x', body, sign('other'))).status).toBe(401);
    expect(await stored('x')).toMatchObject([{ value: body, headers: { ce_type: 'postern.x' } }]);
  });

  it('anybody else: what is signed, else the places in the body, else the header, else the digest', async () => {
    const body = '{"n":7,"kind":"k.one","at":1700000000,"who":"w"}';
    expect((await custom(body, { ...JSON_TYPE, 'x-delivery': 'c-1' })).status).toBe(202);
    expect((await one('custom', '7')).headers).toMatchObject({
      ce_type: 'k.one',
      ce_time: '2023-11-14T22:13:20.000Z',
      ce_subject: 'w',
    });
    const again = await custom(body, { ...JSON_TYPE, 'x-delivery': 'c-2' });
    expect(await again.json()).toMatchObject({ duplicates: 1 });
    const named = (source: string, id: string, signed: string) =>
      post(source, body, { ...JSON_TYPE, 'x-sig': hmac('cu', signed), 'x-delivery': id });
    expect((await named('delivery', 'c-1', body)).status).toBe(202);
    await one('delivery', 'c-1');
    expect((await named('whole', 'c-1', `c-1.${body}`)).status).toBe(202);
    await one('whole', 'c-1');
    expect((await named('whole', 'c-2', `c-1.${body}`)).status).toBe(401);
    // No signature covers this header, so it makes no new event of the same body.
    const replay = await custom(body, { ...JSON_TYPE, 'idempotency-key': 'fresh' });
    expect(await replay.json()).toMatchObject({ duplicates: 1 });
    expect(await (await post('shop', '{"b":1}', shopify('{"b":1}'))).json()).toMatchObject({ accepted: 1 });
    expect(await (await post('shop', '{"b":1}', shopify('{"b":1}'))).json()).toMatchObject({ duplicates: 1 });
    const long = await github('{}', JSON_TYPE, 'd'.repeat(65));
    expect(await long.json()).toMatchObject({ rejected: 1 });
  });

  it('a sender that cannot sign has a key', async () => {
    expect((await post('keyed', '{"a":1}', JSON_TYPE)).status).toBe(401);
    expect((await post('keyed?key=guess', '{"a":1}', JSON_TYPE)).status).toBe(401);
    expect((await post('keyed?key=open-sesame', '{"a":1}', JSON_TYPE)).status).toBe(202);
    const named = { ...JSON_TYPE, 'idempotency-key': 'k-1' };
    expect((await post('keyed?key=open-sesame', '{"a":1}', named)).status).toBe(202);
    expect((await one('keyed', 'k-1')).headers.ce_type).toBe('postern.keyed');
  });
});

describe('what is signed says the same whatever stands around it', () => {
  it('JSON stays JSON, and is one event', async () => {
    const body = '{"tweet_create_events":[{"id":2}]}';
    const signature = { 'x-twitter-webhooks-signature': `sha256=${hmac('xx', body, 'base64')}` };
    const before = (await stored('x')).length;
    const types = [
      'application/octet-stream',
      'application/x-www-form-urlencoded',
      'text/plain',
      'application/json',
    ];
    for (const type of types) {
      expect((await post('x', body, { ...signature, 'content-type': type })).status).toBe(200);
    }
    const events = (await stored('x')).slice(before);
    expect(events).toMatchObject([{ value: body, headers: { 'content-type': 'application/json' } }]);
  });

  it('a form has one id, as a form and as text', async () => {
    const body = 'a=1&b=2';
    const before = (await stored('delivery')).length;
    for (const type of [FORM['content-type'], 'text/plain', 'image/png']) {
      const reply = await post('delivery', body, { 'x-sig': hmac('cu', body), 'content-type': type });
      expect([type, reply.status]).toEqual([type, 202]);
    }
    const events = (await stored('delivery')).slice(before);
    expect(events.map(({ value }) => value)).toEqual(['{"a":"1","b":"2"}']);
  });

  it('data that says it is a CloudEvent is refused', async () => {
    const body = '{"specversion":"1.0","id":"1","source":"/internal/admin","type":"user.delete"}';
    const before = (await stored('github')).length;
    for (const type of [
      'application/cloudevents+json',
      'Application/CloudEvents+JSON; x=y',
      ' \t application/cloudevents-batch+json',
      'application/cloudevents',
    ]) {
      const reply = await github(body, { 'content-type': type });
      expect([type, reply.status, await reply.json()]).toEqual([
        type,
        415,
        expect.objectContaining({ type: 'urn:postern:problem:unsupported_type' }),
      ]);
    }
    expect(await stored('github')).toHaveLength(before);
  });
});

it('devices sign their events, and their ids are theirs alone', async () => {
  const send = (device: string, body: string, signed: Sent = deviceHeaders('master', device, body)) =>
    fetch(`${gateway.url}/events/devices`, { method: 'POST', body, headers: { ...JSON_TYPE, ...signed } });
  const batch = '[{"seq":1},{"seq":2}]';
  expect(await (await send('d-1', batch)).json()).toMatchObject({ accepted: 2 });
  expect(gateway.requests.at(-1)).toMatchObject({ who: 'd-1', signature: 'secret-1' });
  expect(await (await send('d-1', batch)).json()).toMatchObject({ duplicates: 2 });
  expect(await (await send('d-2', batch)).json()).toMatchObject({ accepted: 2 });
  const stolen = { ...deviceHeaders('master', 'd-1', batch), 'x-device-id': 'd-2' };
  expect((await send('d-2', batch, stolen)).status).toBe(401);
  expect((await send('d-1', batch, deviceHeaders('master', 'd-1', batch, seconds(-400)))).status).toBe(401);
  expect(gateway.requests.at(-1)).toMatchObject({ signature: 'expired' });
  const devices = (await stored('devices')).map(({ headers }) => `${headers.ce_device} ${headers.ce_id}`);
  expect(devices).toEqual(['d-1 1', 'd-1 2', 'd-2 1', 'd-2 2']);
});
