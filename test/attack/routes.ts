import { SECRETS } from './project.ts';

/** One way in: a path, and what the attacker shows at it. */
export interface Route {
  /** As figures call it. */
  name: string;
  path: string;
  /** The shape of its bodies. */
  takes: 'events' | 'segment' | 'webhook';
  headers: Record<string, string>;
  /** Whether the attacker may come in; a success is a fault where not. */
  open: boolean;
}

const way = (name: string, takes: Route['takes'], path: string, headers = {}, open = false): Route => ({
  name,
  path,
  takes,
  headers,
  open,
});
const basic = (key: string) => ({ authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` });
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const zeros = '0'.repeat(64);
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
/** Well-formed, and signed by nobody. */
const token = [
  part({ alg: 'ES256', kid: 'attack' }),
  part({ iss: 'attack', aud: 'attack', sub: 'x', exp: 9_999_999_999 }),
  Buffer.alloc(64, 7).toString('base64url'),
].join('.');

export const OPEN = way('open', 'events', '/events/open', {}, true);
export const STRICT = way('schema', 'events', '/events/strict', {}, true);
export const SENML = way('senml', 'events', '/events/senml', {}, true);
const NO_KEY = way('no key', 'events', '/events/keyed');
export const WRONG_KEY = way('wrong key', 'events', '/events/keyed', bearer('wrong'));
export const RIGHT_KEY = way('right key', 'events', '/events/keyed', bearer(SECRETS.right), true);
export const DEVICE = way('device', 'events', '/events/device', {
  'x-device-id': 'd-1',
  'x-signature': zeros,
});
export const HMAC = way('hmac', 'events', '/events/hmac', { 'x-signature': zeros });
export const TOKEN = way('token', 'events', '/events/token', bearer(token));
export const TRACK = way('track, no key', 'segment', '/v1/track');
const TRACK_WRONG = way('track, wrong key', 'segment', '/v1/track', basic('wrong'));
export const TRACK_RIGHT = way('track, right key', 'segment', '/v1/track', basic(SECRETS.writeKey), true);
export const BATCH = way('batch, no key', 'segment', '/v1/batch');
export const BATCH_WRONG = way('batch, wrong key', 'segment', '/v1/batch', basic('wrong'));
export const BATCH_RIGHT = way('batch, right key', 'segment', '/v1/batch', basic(SECRETS.writeKey), true);
export const HOOK = way('webhook, unsigned', 'webhook', '/webhooks/hook');
export const HOOK_WRONG = way('webhook, wrong signature', 'webhook', '/webhooks/hook', {
  'x-hub-signature-256': `sha256=${zeros}`,
});
/** Takes GET only. */
const PIXEL = way('pixel', 'events', '/pixels/open');

/** All that take bodies. */
export const EVERY = [
  ...[OPEN, STRICT, NO_KEY, WRONG_KEY, RIGHT_KEY, DEVICE, HMAC, TOKEN],
  ...[TRACK, TRACK_WRONG, TRACK_RIGHT, BATCH, BATCH_WRONG, BATCH_RIGHT],
  ...[HOOK, HOOK_WRONG, PIXEL],
];

/** Those that are not there in the project `bare`, and one with a key that nobody has. */
export const ABSENT = [TRACK, BATCH, HOOK, OPEN];
