import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import * as octokit from '@octokit/webhooks-methods';
import fc from 'fast-check';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { Webhook as SvixWebhook } from 'svix';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../../src/config/read.ts';
import type { SignatureCheck } from '../../src/gateway/signature/check.ts';
import { makeSignatureCheck } from '../../src/gateway/signature/schemes.ts';
import { hmac, type Sent, seconds, slackHeaders, verdictOf } from './signing.ts';

const STORES = 'log: { embedded: {} }\ndedupe: { embedded: {} }\n';

function checkOf(verify: object, protocol = 'webhook'): SignatureCheck {
  const source = JSON.stringify({ protocol, topic: 't', verify });
  const { config, problems } = readConfig(`${STORES}sources: { s: ${source} }`, {}, { file: 't.yaml' });
  if (config === null) throw new Error(JSON.stringify(problems));
  return makeSignatureCheck(config.sources.get('s')!.verify!);
}

const BODY = '{ "a" : 1.0,\r\n"s":"\\/ \u2028","a":2 }\n';
const KEY = randomBytes(24).toString('base64');
const SECRET = `whsec_${KEY}`;
const OLD = `whsec_${randomBytes(32).toString('base64')}`;

/** A flipped bit anywhere in the digest, in text of hex or base64. */
const flipped = (text: string) => text.replace(/[a-z0-9](?=[^a-z0-9]*$)/i, (c) => (c === '0' ? '1' : '0'));

function standardHeaders(secret = SECRET, time = seconds(), body = BODY, id = 'msg_1'): Sent {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(time),
    'webhook-signature': new StandardWebhook(secret).sign(id, new Date(time * 1000), body),
  };
}
const asSvix = (headers: Sent) =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.replace('webhook', 'svix'), value]),
  );
const signatureOf = (secret: string) => standardHeaders(secret)['webhook-signature']!;

describe('Standard Webhooks and Svix', () => {
  for (const scheme of ['standard', 'svix']) {
    it(`C62 ${scheme} takes both families of header names`, async () => {
      const check = checkOf({ scheme, secrets: [SECRET] });
      expect(await verdictOf(check, standardHeaders(), BODY)).toBe(0);
      expect(await verdictOf(check, asSvix(standardHeaders()), BODY)).toBe(0);
      const time = seconds();
      const svix = {
        'svix-id': 'msg_2',
        'svix-timestamp': String(time),
        'svix-signature': new SvixWebhook(SECRET).sign('msg_2', new Date(time * 1000), BODY),
      };
      expect(await verdictOf(check, svix, BODY)).toBe(0);
      const mixed = { ...svix, 'webhook-signature': svix['svix-signature'] };
      expect(await verdictOf(check, mixed, BODY)).toBe('missing');
    });
  }

  it('C62 takes secrets with and without whsec_, and two at once', async () => {
    expect(await verdictOf(checkOf({ scheme: 'standard', secrets: [KEY] }), standardHeaders(), BODY)).toBe(0);
    const rotating = checkOf({ scheme: 'standard', secrets: [SECRET, OLD] });
    expect(await verdictOf(rotating, standardHeaders(SECRET), BODY)).toBe(0);
    expect(await verdictOf(rotating, standardHeaders(OLD), BODY)).toBe(1);
    const after = checkOf({ scheme: 'standard', secrets: [SECRET] });
    expect(await verdictOf(after, standardHeaders(OLD), BODY)).toBe('mismatch');
  });

  it('C62 takes any right signature of a list, and tries no more than some', async () => {
    const check = checkOf({ scheme: 'standard', secrets: [SECRET] });
    const [right, wrong] = [signatureOf(SECRET), signatureOf(OLD)];
    const lists: [string, number | string][] = [
      [`${right} ${wrong}`, 0],
      [`${wrong} ${right}`, 0],
      [`v2,anything ${right}`, 0],
      [`v1a,AAAA junk  ${right}`, 0],
      [`${'v1,AAAA '.repeat(15)}${right}`, 0],
      [`${'v1,AAAA '.repeat(49)}${right}`, 'mismatch'],
      [`${right}, ${right}`, 'malformed'],
      [`${wrong}, ${right}`, 'malformed'],
      [right.replace('v1,', 'v2,'), 'mismatch'],
      [right.replace('v1,', 'v1a,'), 'mismatch'],
      [right.slice(3), 'mismatch'],
      [right.slice(0, -4), 'mismatch'],
      [`${right}AAAA`, 'mismatch'],
      [flipped(right), 'mismatch'],
      ['v1,', 'mismatch'],
      [',', 'mismatch'],
      ['x'.repeat(100_000), 'mismatch'],
      ['', 'missing'],
    ];
    for (const [list, verdict] of lists) {
      const headers = { ...standardHeaders(), 'webhook-signature': list };
      expect([list, await verdictOf(check, headers, BODY)]).toEqual([list, verdict]);
    }
  });

  it('takes ed25519 signatures, from a sender whose public key it has', async () => {
    const pair = () => {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url').toString('base64');
      return { publicKey: `whpk_${raw}`, privateKey };
    };
    const [one, two] = [pair(), pair()];
    const check = checkOf({ scheme: 'standard', secrets: [SECRET, one.publicKey] });
    const time = seconds();
    const by = (key: typeof one.privateKey) =>
      `v1a,${sign(null, Buffer.from(`m.${time}.${BODY}`), key).toString('base64')}`;
    const headers = (list: string) => ({
      'webhook-id': 'm',
      'webhook-timestamp': String(time),
      'webhook-signature': list,
    });
    expect(await verdictOf(check, headers(by(one.privateKey)), BODY)).toBe(1);
    expect(await verdictOf(check, headers(`${by(two.privateKey)} ${by(one.privateKey)}`), BODY)).toBe(1);
    expect(await verdictOf(check, headers(by(two.privateKey)), BODY)).toBe('mismatch');
    expect(await verdictOf(check, headers(by(one.privateKey)), `${BODY} `)).toBe('mismatch');
    expect(await verdictOf(check, headers(by(one.privateKey).replace('v1a', 'v1')), BODY)).toBe('mismatch');
    expect(await verdictOf(check, headers('v1a,AAAA'), BODY)).toBe('mismatch');
    const tries = headers(`${`${by(two.privateKey)} `.repeat(4)}${by(one.privateKey)}`);
    expect(await verdictOf(check, tries, BODY)).toBe('mismatch');
  });

  it('signs id and time too, and wants all three headers', async () => {
    const check = checkOf({ scheme: 'standard', secrets: [SECRET] });
    const headers = standardHeaders();
    for (const name of Object.keys(headers)) {
      const { [name]: _, ...rest } = headers;
      expect([name, await verdictOf(check, rest, BODY)]).toEqual([name, 'missing']);
    }
    expect(await verdictOf(check, { ...headers, 'webhook-id': 'other' }, BODY)).toBe('mismatch');
    expect(await verdictOf(check, { ...headers, 'webhook-id': 'msg_1, msg_1' }, BODY)).toBe('mismatch');
    const later = { ...headers, 'webhook-timestamp': String(seconds(1)) };
    expect(await verdictOf(check, later, BODY)).toBe('mismatch');
  });
});

describe('C61 the time that is signed', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());
  const stripe = (time: number | string) => ({
    'stripe-signature': `t=${time},v1=${hmac(SECRET, `${time}.${BODY}`)}`,
  });
  const custom = (time: number | string) => ({
    'x-time': String(time),
    'x-sig': hmac('k', `${time}:${BODY}`),
  });
  const timed: [string, SignatureCheck, (time: number | string) => Sent][] = [
    [
      'standard',
      checkOf({ scheme: 'standard', secrets: [SECRET] }),
      (time) => ({
        'webhook-id': 'm',
        'webhook-timestamp': String(time),
        'webhook-signature': `v1,${hmac(Buffer.from(KEY, 'base64'), `m.${time}.${BODY}`, 'base64')}`,
      }),
    ],
    ['stripe', checkOf({ scheme: 'stripe', secrets: [SECRET] }), stripe],
    ['slack', checkOf({ scheme: 'slack', secrets: ['s'] }), (time) => slackHeaders('s', BODY, time)],
    [
      'hmac',
      checkOf({
        scheme: 'hmac',
        secrets: ['k'],
        header: 'X-Sig',
        timestamp: 'X-Time',
        template: '{timestamp}:{body}',
      }),
      custom,
    ],
  ];
  for (const [scheme, check, headers] of timed) {
    it(`${scheme}: five minutes either way, in whole seconds`, async () => {
      const times: [number | string, number | string][] = [
        [seconds(), 0],
        [seconds(-299), 0],
        [seconds(-300), 0],
        [seconds(300), 0],
        [seconds(-301), 'expired'],
        [seconds(301), 'expired'],
        [seconds(600), 'expired'],
        [0, 'expired'],
        [Date.now(), 'malformed'],
        [-seconds(), 'malformed'],
        [`${seconds()}.5`, 'malformed'],
        [`0x${seconds().toString(16)}`, 'malformed'],
        // The second one is no part of Stripe's header, so that the first is read, but another text was signed.
        [`${seconds()}, ${seconds()}`, scheme === 'stripe' ? 'mismatch' : 'malformed'],
        ['soon', 'malformed'],
      ];
      for (const [time, verdict] of times)
        expect([time, await verdictOf(check, headers(time), BODY)]).toEqual([time, verdict]);
    });
  }

  it('is as wide as the config says', async () => {
    const check = checkOf({ scheme: 'stripe', secrets: [SECRET], tolerance: '1h' });
    expect(await verdictOf(check, stripe(seconds(-3600)), BODY)).toBe(0);
    expect(await verdictOf(check, stripe(seconds(-3601)), BODY)).toBe('expired');
  });
});

describe('Stripe', () => {
  const check = checkOf({ scheme: 'stripe', secrets: [SECRET, OLD] });
  const header = (secret: string, timestamp = seconds()) =>
    Stripe.webhooks.generateTestHeaderString({ payload: BODY, secret, timestamp });
  const v1 = (secret: string, time: number) => hmac(secret, `${time}.${BODY}`);

  it('takes what its library signs, with the whole text of the secret', async () => {
    expect(await verdictOf(check, { 'stripe-signature': header(SECRET) }, BODY)).toBe(0);
    expect(await verdictOf(check, { 'stripe-signature': header(OLD) }, BODY)).toBe(1);
    expect(await verdictOf(check, { 'stripe-signature': header(KEY) }, BODY)).toBe('mismatch');
    expect(await verdictOf(check, { 'stripe-signature': header(SECRET) }, `${BODY} `)).toBe('mismatch');
  });

  it('C62 takes any v1 of several, never v0, and one time', async () => {
    const t = seconds();
    const headers: [string, number | string][] = [
      [`t=${t},v1=${v1('gone', t)},v1=${v1(SECRET, t)},v0=${v1('x', t)}`, 0],
      [`v0=aa,v1=${v1(SECRET, t)},v1=${v1('gone', t)},t=${t}`, 0],
      [`t=${t},v1=${v1(SECRET, t).toUpperCase()}`, 0],
      [`t=${t},v0=${v1(SECRET, t)}`, 'mismatch'],
      [`t=${t}`, 'mismatch'],
      [`t=${t},v1=`, 'mismatch'],
      [`t=${t},v1`, 'mismatch'],
      [`t=${t},v1=${v1(SECRET, t)}0`, 'mismatch'],
      [`t=${t},v1=${v1(SECRET, t)}00`, 'mismatch'],
      [`t=${t},${'v1=00,'.repeat(50)}v1=${v1(SECRET, t)}`, 'mismatch'],
      [`v1=${v1(SECRET, t)}`, 'malformed'],
      [`t=${t},v1=${v1('x', t)}, t=${t},v1=${v1(SECRET, t)}`, 'malformed'],
      [`t,v1=${v1(SECRET, t)}`, 'malformed'],
      ['', 'missing'],
      ['=,=,,', 'malformed'],
    ];
    for (const [value, verdict] of headers)
      expect([value, await verdictOf(check, { 'stripe-signature': value }, BODY)]).toEqual([value, verdict]);
    expect(await verdictOf(check, {}, BODY)).toBe('missing');
  });
});

describe('one HMAC in a header', () => {
  it('C63 GitHub: SHA-256 in hex of either case, never SHA-1', async () => {
    const check = checkOf({ scheme: 'github', secrets: ['new', 'old'] });
    const right = await octokit.sign('new', BODY);
    const digest = right.slice('sha256='.length);
    const headers: [string, number | string][] = [
      [right, 0],
      [await octokit.sign('old', BODY), 1],
      [`sha256=${digest.toUpperCase()}`, 0],
      [digest, 'malformed'],
      [`SHA256=${digest}`, 'malformed'],
      [`sha1=${hmac('new', BODY, 'hex', 'sha1')}`, 'malformed'],
      [`sha256=${hmac('new', BODY, 'hex', 'sha1')}`, 'mismatch'],
      [`sha256=${digest.slice(0, -2)}`, 'mismatch'],
      [`sha256=${digest.slice(0, -1)}`, 'malformed'],
      [`sha256=${digest}00`, 'mismatch'],
      [`sha256=${hmac('new', BODY, 'base64')}`, 'malformed'],
      [`${right}, ${right}`, 'malformed'],
      ['sha256=', 'malformed'],
      [flipped(right), 'mismatch'],
      ['', 'missing'],
    ];
    for (const [value, verdict] of headers)
      expect([value, await verdictOf(check, { 'x-hub-signature-256': value }, BODY)]).toEqual([
        value,
        verdict,
      ]);
    const sha1 = { 'x-hub-signature': `sha1=${hmac('new', BODY, 'hex', 'sha1')}` };
    expect(await verdictOf(check, sha1, BODY)).toBe('missing');
  });

  it('C63 Shopify: base64, not hex', async () => {
    const check = checkOf({ scheme: 'shopify', secrets: ['s'] });
    const sent = (value: string) => verdictOf(check, { 'x-shopify-hmac-sha256': value }, BODY);
    const right = hmac('s', BODY, 'base64');
    expect(await sent(right)).toBe(0);
    expect(await sent(right.replace('=', ''))).toBe(0);
    expect(await sent(hmac('s', BODY))).toBe('mismatch');
    expect(await sent(right.slice(4))).toBe('mismatch');
    expect(await sent('!')).toBe('malformed');
  });

  it('Slack: signs version and time with the body', async () => {
    const check = checkOf({ scheme: 'slack', secrets: ['s'] });
    const headers = slackHeaders('s', BODY);
    expect(await verdictOf(check, headers, BODY)).toBe(0);
    const { 'x-slack-request-timestamp': _, ...untimed } = headers;
    expect(await verdictOf(check, untimed, BODY)).toBe('missing');
    const bare = { ...headers, 'x-slack-signature': `v0=${hmac('s', BODY)}` };
    expect(await verdictOf(check, bare, BODY)).toBe('mismatch');
  });

  it('hmac: hash, encoding, prefix and template as the config says', async () => {
    const base = { scheme: 'hmac', secrets: ['old', 'k'], header: 'X-Sig' };
    for (const hash of ['sha1', 'sha256', 'sha512']) {
      for (const encoding of ['hex', 'base64'] as const) {
        const check = checkOf({ ...base, hash, encoding, prefix: `${hash}:` });
        const value = `${hash}:${hmac('k', BODY, encoding, hash)}`;
        expect([hash, await verdictOf(check, { 'x-sig': value }, BODY)]).toEqual([hash, 1]);
        expect(await verdictOf(check, { 'x-sig': value }, `${BODY} `)).toBe('mismatch');
        expect(await verdictOf(check, { 'x-sig': value.slice(hash.length + 1) }, BODY)).toBe('malformed');
      }
    }
    const all = checkOf({
      ...base,
      timestamp: 'X-Time',
      id: 'X-Id',
      template: 'v1;{id};{timestamp};{body};{body}{x}',
    });
    const time = String(seconds());
    const headers = {
      'x-time': time,
      'x-id': 'i7',
      'x-sig': hmac('k', `v1;i7;${time};${BODY};${BODY}{x}`),
    };
    expect(await verdictOf(all, headers, BODY)).toBe(1);
    expect(await verdictOf(all, { ...headers, 'x-id': 'i8' }, BODY)).toBe('mismatch');
    for (const name of Object.keys(headers)) {
      const { [name as 'x-id']: _, ...rest } = headers;
      expect([name, await verdictOf(all, rest, BODY)]).toEqual([name, 'missing']);
    }
  });

  it('X: base64 over objects alone, as a token that anybody may ask a proof for must be no body', async () => {
    const check = checkOf({ scheme: 'twitter', secrets: ['s'] });
    const sent = (body: string) =>
      verdictOf(check, { 'x-twitter-webhooks-signature': `sha256=${hmac('s', body, 'base64')}` }, body);
    expect(await sent('{"a":1}')).toBe(0);
    expect(await sent('12345')).toBe('malformed');
    expect(await sent('')).toBe('malformed');
  });
});

describe('a key for each device', () => {
  const check = checkOf({ scheme: 'device', secrets: ['master', 'old'] }, 'events');
  const keyOf = (device: string, master = 'master') => hmac(master, device);
  const sent = (device: string, key: string, body = BODY, time: number | string = seconds()) => ({
    'x-device-id': device,
    'x-timestamp': String(time),
    'x-signature': hmac(key, `${time}.${body}`),
  });

  it('knows each key without a list of them', async () => {
    expect(await verdictOf(check, sent('d-1', keyOf('d-1')), BODY)).toBe(0);
    expect(await verdictOf(check, sent('d-2', keyOf('d-2', 'old')), BODY)).toBe(1);
    expect(await verdictOf(check, sent('d-2', keyOf('d-1')), BODY)).toBe('mismatch');
    expect(await verdictOf(check, sent('d-1', 'master'), BODY)).toBe('mismatch');
    expect(await verdictOf(check, sent('d-1', keyOf('d-1')), `${BODY} `)).toBe('mismatch');
    for (const odd of ['d-1, d-1', 'd 1', 'é', 'd'.repeat(257), '\u0001'])
      expect([odd, await verdictOf(check, sent(odd, keyOf(odd)), BODY)]).toEqual([odd, 'malformed']);
    const whole = sent('d-1', keyOf('d-1'));
    for (const name of Object.keys(whole)) {
      const { [name]: _, ...rest } = whole as Sent;
      expect([name, await verdictOf(check, rest, BODY)]).toEqual([name, 'missing']);
    }
  });

  it('wants a time that is signed, and that is not too far off', async () => {
    const key = keyOf('d-1');
    for (const off of [-299, 290]) {
      expect(await verdictOf(check, sent('d-1', key, BODY, seconds(off)), BODY)).toBe(0);
    }
    for (const off of [-302, 310, -86_400]) {
      expect(await verdictOf(check, sent('d-1', key, BODY, seconds(off)), BODY)).toBe('expired');
    }
    for (const odd of ['now', '1e9', '-1', `${seconds()}.5`, '1'.repeat(12)]) {
      expect([odd, await verdictOf(check, sent('d-1', key, BODY, odd), BODY)]).toEqual([odd, 'malformed']);
    }
    const moved = { ...sent('d-1', key, BODY, seconds(-86_400)), 'x-timestamp': String(seconds()) };
    expect(await verdictOf(check, moved, BODY)).toBe('mismatch');
    const bodyOnly = { ...sent('d-1', key), 'x-signature': hmac(key, BODY) };
    expect(await verdictOf(check, bodyOnly, BODY)).toBe('mismatch');
  });

  it('does without a time only where the config says so', async () => {
    const old = checkOf({ scheme: 'device', secrets: ['master'], timestamp: 'none' }, 'events');
    const headers = { 'x-device-id': 'd-1', 'x-signature': hmac(keyOf('d-1'), BODY) };
    expect(await verdictOf(old, headers, BODY)).toBe(0);
    expect(await verdictOf(old, { ...headers, 'x-timestamp': String(seconds()) }, BODY)).toBe(0);
    expect(await verdictOf(old, sent('d-1', keyOf('d-1')), BODY)).toBe('mismatch');
  });

  it('takes other headers and base64', async () => {
    const other = checkOf({
      scheme: 'device',
      secrets: ['m'],
      id: 'X-Serial',
      header: 'X-Mac',
      timestamp: 'X-Time',
      tolerance: '10s',
      encoding: 'base64',
    });
    const at = (time: number) => ({
      'x-serial': 'd',
      'x-time': String(time),
      'x-mac': hmac(keyOf('d', 'm'), `${time}.${BODY}`, 'base64'),
    });
    expect(await verdictOf(other, at(seconds()), BODY)).toBe(0);
    expect(await verdictOf(other, at(seconds(-12)), BODY)).toBe('expired');
  });
});

const ALL: [string, object][] = [
  ['standard', {}],
  ['stripe', {}],
  ['github', {}],
  ['shopify', {}],
  ['slack', {}],
  ['twitter', {}],
  ['hmac', { header: 'x-sig', timestamp: 'x-time', template: '{timestamp}{body}' }],
  ['device', {}],
];
const HEADERS = [
  ...['webhook-id', 'webhook-timestamp', 'webhook-signature', 'stripe-signature', 'x-hub-signature-256'],
  ...['x-shopify-hmac-sha256', 'x-slack-signature', 'x-slack-request-timestamp', 'x-time', 'x-sig'],
  ...['x-twitter-webhooks-signature', 'x-device-id', 'x-signature', 'x-timestamp'],
];

it('C61 any headers at all get one text, and never an exception', async () => {
  const checks = ALL.map(([scheme, more]) => checkOf({ scheme, secrets: [SECRET], ...more }));
  const value = fc.oneof(
    fc.string(),
    fc.constant(String(seconds())),
    fc.base64String(),
    fc
      .tuple(fc.constantFrom('v1,', 'v1a,', 'v0=', 'sha256=', `t=${seconds()},v1=`), fc.string())
      .map(([prefix, rest]) => prefix + rest),
  );
  const headers = fc.dictionary(fc.constantFrom(...HEADERS), value, { minKeys: 8 });
  await fc.assert(
    fc.asyncProperty(headers, fc.uint8Array(), async (sent, body) => {
      for (const check of checks)
        expect(['missing', 'malformed', 'expired', 'mismatch']).toContain(await verdictOf(check, sent, body));
    }),
    { numRuns: 300 },
  );
});

it('C61 C62 the config refuses what would protect nothing', () => {
  const problems = (source: object) => {
    const text = JSON.stringify({ protocol: 'webhook', topic: 't', ...source });
    return readConfig(`${STORES}sources: { s: ${text} }`, {}, { file: 't.yaml' }).problems.map(
      ({ pointer, message }) => `${pointer}: ${message}`,
    );
  };
  const at = '/sources/s/verify/secrets/0';
  const verify = (scheme: string, ...secrets: string[]) => ({ verify: { scheme, secrets } });
  expect(problems({})).toEqual([expect.stringContaining('needs verify')]);
  expect(problems({ verify: { scheme: 'github' } })).toContain('/sources/s/verify/secrets: is missing');
  expect(problems(verify('github'))).toContainEqual(expect.stringContaining('/sources/s/verify/secrets: '));
  for (const scheme of ['github', 'stripe', 'slack']) {
    for (const empty of ['', ' ', '${NOT_SET:-}'])
      expect(problems(verify(scheme, empty))).toEqual([expect.stringContaining('protects nothing')]);
  }
  for (const bad of ['whsec_', 'whsec_a b', 'whpk_', 'word!'])
    expect(problems(verify('standard', bad))).toEqual([
      `${at}: must be base64, mostly after whsec_ or whpk_`,
    ]);
  expect(problems(verify('svix', `whsk_${KEY}`))).toEqual([expect.stringContaining('private key')]);
  expect(problems(verify('svix', `whpk_${KEY}`))).toEqual([expect.stringContaining('32 bytes; it has 24')]);
  expect(problems({ verify: { scheme: 'hmac', secrets: ['k'], header: 'x', timestamp: 'x-time' } })).toEqual([
    expect.stringContaining('not signed'),
  ]);
  expect(problems({ ...verify('github', 'k'), batch: 'all-or-nothing' })).toEqual([
    expect.stringContaining('/sources/s/batch'),
  ]);
  expect(JSON.stringify(problems(verify('standard', 'hunter2!')))).not.toContain('hunter2');
});
