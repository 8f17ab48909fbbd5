import { fromBase64 } from '../../core/encoding.ts';
import type { Findings } from '../text/findings.ts';
import type { Path } from '../text/path.ts';
import { checkOrigin } from '../values/check.ts';
import { isReadable, type Secret, type Weakness, weak, weakSecret } from '../values/weakness.ts';
import type { SourceConfig, VerifyConfig } from './types.ts';

/** Checks settings against each other, in one source and across sources. */
export function checkSources(sources: SourceConfig[], findings: Findings): void {
  checkKeys(sources, findings);
  for (const source of sources) checkSource(source, findings);
}

function checkSource(source: SourceConfig, findings: Findings): void {
  const { name, protocol, keys, jwt, verify, origins, batch, identity } = source;
  const base = ['sources', name];
  if (protocol === 'webhook' && verify === null && keys.length === 0 && jwt === null) {
    findings.error(base, 'a webhook needs verify, or keys if the sender cannot sign');
  }
  if (protocol === 'segment' && keys.length === 0) {
    findings.error(base, 'needs keys: the write key of a request selects the source of protocol segment');
  }
  if (protocol === 'segment') {
    for (const field of ['id', 'type', 'time', 'subject'] as const) {
      if (source[field] !== null) findings.error([...base, field], 'cannot be set for protocol segment');
    }
  }
  if (protocol !== 'webhook' && verify !== null && verify.scheme !== 'hmac' && verify.scheme !== 'device') {
    findings.error([...base, 'verify', 'scheme'], `${verify.scheme} is only for protocol webhook`);
  }
  if (protocol === 'webhook' && batch === 'all-or-nothing') {
    findings.error([...base, 'batch'], 'must be each, because a webhook is one event');
  }
  if (identity === 'key' && keys.length === 0 && jwt === null && verify?.scheme !== 'device') {
    findings.error([...base, 'identity'], 'key needs keys, jwt, or verify with scheme device');
  }
  if (verify !== null) {
    checkVerify(verify, [...base, 'verify'], findings);
    checkSignedIds(source, verify, base, findings);
  }
  for (const [index, origin] of (origins ?? []).entries()) {
    checkOrigin(findings, [...base, 'origins', index], origin);
  }
}

/** Warns of ids and times that the signature does not cover. */
function checkSignedIds(
  { protocol, id }: SourceConfig,
  verify: VerifyConfig,
  base: Path,
  findings: Findings,
): void {
  const { scheme, format, template } = verify;
  if (protocol === 'events' && id === null && (format === 'json' || format === 'lines')) {
    findings.warn(
      base,
      'has no id: Idempotency-Key is not signed, so it does not count, and events without an id are rejected',
    );
  }
  if (
    protocol === 'webhook' &&
    scheme === 'hmac' &&
    id === null &&
    verify.id !== null &&
    !template.includes('{id}')
  ) {
    findings.warn(
      [...base, 'verify', 'id'],
      'is not signed, because template has no {id}: a body that is sent again with another id is a new event',
    );
  }
  if (scheme === 'device' && verify.timestamp === null) {
    findings.warn(
      [...base, 'verify', 'timestamp'],
      'none: a signed body can be sent again at any time, and is a new event after dedupe.window',
    );
  }
}

function checkVerify({ scheme, secrets, timestamp, template }: VerifyConfig, path: Path, findings: Findings) {
  if (scheme === 'hmac' && timestamp !== null && !template.includes('{timestamp}')) {
    findings.error([...path, 'timestamp'], 'is not signed, because template has no {timestamp}');
  }
  if (scheme !== 'standard' && scheme !== 'svix') return;
  for (const [index, secret] of secrets.entries()) {
    const at = [...path, 'secrets', index];
    const bytes = fromBase64(secret.replace(/^wh(?:sec|pk)_/, ''));
    if (secret.startsWith('whsk_'))
      findings.error(at, "is the sender's private key; use the public key, which begins with whpk_");
    else if (bytes === null) findings.error(at, 'must be base64, usually after whsec_ or whpk_');
    else if (secret.startsWith('whpk_') && bytes.length !== 32) {
      findings.error(at, `must be a public key of 32 bytes; it has ${bytes.length}`);
    }
  }
}

function checkKeys(sources: SourceConfig[], findings: Findings): void {
  const owners = new Map<string, string>();
  for (const { name, keys } of sources) {
    for (const [index, { key }] of keys.entries()) {
      const owner = owners.get(key);
      if (key !== '' && owner !== undefined) {
        findings.error(
          ['sources', name, 'keys', index],
          `is a key of ${owner === name ? 'this source' : owner} already`,
        );
      }
      owners.set(key, name);
    }
  }
}

/** `isPublic`: whether strangers can reach the gateway. */
export function sourceWeaknesses(sources: SourceConfig[], isPublic: boolean): Weakness[] {
  return [
    ...sources.flatMap((source) => [
      ...(isPublic ? openToAll(source) : []),
      ...secretsOf(source).flatMap(weakSecret),
      ...weakTokens(source),
    ]),
    ...sharedSecrets(sources),
  ];
}

function openToAll({ name, keys, jwt, verify }: SourceConfig): Weakness[] {
  if (keys.length > 0 || jwt !== null || verify !== null) return [];
  return [weak(['sources', name], 'lets anybody send; set keys, jwt or verify')];
}

function secretsOf({ name, keys, verify }: SourceConfig): Secret[] {
  const base = ['sources', name];
  return [
    ...keys.map(({ key }, index) => ({ path: [...base, 'keys', index], text: key })),
    ...(verify?.secrets ?? []).map((text, index) => ({ path: [...base, 'verify', 'secrets', index], text })),
  ];
}

function sharedSecrets(sources: SourceConfig[]): Weakness[] {
  const owners = new Map<string, string>();
  return sources.flatMap((source) =>
    secretsOf(source).flatMap(({ path, text }) => {
      const owner = owners.get(text) ?? source.name;
      owners.set(text, owner);
      return owner === source.name
        ? []
        : [weak(path, `is also a secret of ${owner}; give each source its own`)];
    }),
  );
}

function weakTokens({ name, jwt }: SourceConfig): Weakness[] {
  if (jwt === null) return [];
  const path = ['sources', name, 'jwt'];
  const found: Weakness[] = [];
  if (jwt.audience === null) {
    const message =
      'has no audience, so tokens that the issuer made for other services open this source; set audience';
    found.push({ path, message, level: 'danger' });
  }
  if ('url' in jwt.jwks && isReadable(jwt.jwks.url))
    found.push(weak([...path, 'jwks'], 'comes over http, where others can replace the keys; use https'));
  return found;
}
