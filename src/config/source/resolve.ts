import type { Path } from '../text/path.ts';
import { checkName, checkTopic, readPointer } from '../values/check.ts';
import type { Reader } from '../values/reader.ts';
import type { SourceDocument } from './shape.ts';
import type { JwtConfig, KeyConfig, Rate, SourceConfig, VerifyConfig } from './types.ts';

/** Makes a source of its document, and checks each value on its own. */
export function readSource(name: string, raw: SourceDocument, reader: Reader): SourceConfig {
  const { findings } = reader;
  const at = (...rest: (string | number)[]): Path => ['sources', name, ...rest];
  const field = (key: 'time' | 'subject' | 'key') =>
    raw[key] === undefined ? null : readPointer(findings, at(key), raw[key]);
  const constantOrPointer = (key: string, text: string) =>
    text.startsWith('/') ? readPointer(findings, at(key), text) : text;
  checkName(findings, at(), name);
  checkTopic(findings, at('topic'), raw.topic, '.rejected');
  if (raw.rate && Object.keys(raw.rate).length === 0)
    findings.error(at('rate'), 'needs events, bytes or key');
  let schema: SourceConfig['schema'] = null;
  if (typeof raw.schema === 'string') schema = constantOrPointer('schema', raw.schema);
  // It has no prototype, because event types come from clients and may be `constructor`.
  else if (raw.schema) schema = Object.assign(Object.create(null), raw.schema);
  return {
    ...raw,
    name,
    keys: readKeys(raw.keys, at('keys'), reader),
    jwt: raw.jwt ? readJwt(raw.jwt, at('jwt'), reader) : null,
    verify: raw.verify ? readVerify(raw.verify, raw.protocol, at('verify'), reader) : null,
    origins: raw.origins ?? null,
    rate: {
      all: raw.rate ? readRate(raw.rate, at('rate'), reader) : null,
      key: raw.rate?.key ? readRate(raw.rate.key, at('rate', 'key'), reader) : null,
    },
    id: Array.isArray(raw.id)
      ? raw.id.map((text, index) => readPointer(findings, at('id', index), text))
      : (raw.id ?? null),
    type: raw.type === undefined ? null : constantOrPointer('type', raw.type),
    time: field('time'),
    subject: field('subject'),
    key: field('key'),
    schema,
  };
}

function readKeys(raw: SourceDocument['keys'], path: Path, { findings, secret }: Reader): KeyConfig[] {
  const ids = new Set<string>();
  return raw.map((item, index) => {
    const at = [...path, index];
    const { id, key } =
      typeof item === 'string'
        ? { id: `key-${index + 1}`, key: secret(at, item) }
        : { id: item.id, key: secret([...at, 'key'], item.key) };
    if (ids.has(id)) findings.error([...at, 'id'], `${id} is the id of another key of this source`);
    ids.add(id);
    return { id, key };
  });
}

function readJwt(
  raw: NonNullable<SourceDocument['jwt']>,
  path: Path,
  { findings, secret }: Reader,
): JwtConfig {
  const at = [...path, 'jwks'];
  const text = secret(at, raw.jwks).trim();
  let jwks: JwtConfig['jwks'] = { text };
  if (/^https?:/.test(text)) jwks = { url: text };
  else if (!isKeySet(text))
    findings.error(at, 'must be an http(s) URL, or a JWK Set of public keys: {"keys": [...]}');
  return { ...raw, jwks, issuer: raw.issuer ?? null, audience: raw.audience ?? null };
}

function isKeySet(text: string): boolean {
  try {
    const { keys } = JSON.parse(text) as { keys: ({ kty?: unknown } | null)[] };
    return keys.every((key) => typeof key?.kty === 'string' && !('d' in key) && !('k' in key));
  } catch {
    return false;
  }
}

/** Header of the time that a device signs. */
const DEVICE_TIME = 'x-timestamp';

function readVerify(
  raw: NonNullable<SourceDocument['verify']>,
  protocol: SourceDocument['protocol'],
  path: Path,
  { secret, time, findings }: Reader,
): VerifyConfig {
  const lower = (text: string | undefined) => text?.toLowerCase() ?? null;
  if (raw.scheme === 'hmac' && raw.header === undefined)
    findings.error(path, 'needs header, because scheme is hmac');
  if (raw.template.includes('{timestamp}') && raw.timestamp === undefined)
    findings.error([...path, 'template'], 'has {timestamp}, but verify.timestamp names no header');
  if (raw.template.includes('{id}') && raw.id === undefined)
    findings.error([...path, 'template'], 'has {id}, but verify.id names no header');
  if (raw.format !== undefined && protocol !== 'events')
    findings.error([...path, 'format'], 'is only for protocol events');
  let timestamp = lower(raw.timestamp);
  if (raw.scheme === 'device') timestamp = timestamp === 'none' ? null : (timestamp ?? DEVICE_TIME);
  return {
    ...raw,
    format: raw.format ?? 'json',
    secrets: raw.secrets.map((text, index) => secret([...path, 'secrets', index], text)),
    tolerance: time([...path, 'tolerance'], raw.tolerance),
    header: lower(raw.header),
    timestamp,
    id: lower(raw.id),
  };
}

function readRate(raw: { events?: number; bytes?: string }, path: Path, { size }: Reader): Rate {
  return {
    events: raw.events ?? null,
    bytes: raw.bytes === undefined ? null : size([...path, 'bytes'], raw.bytes, 2 ** 40),
  };
}
