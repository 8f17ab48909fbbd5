import { isReadable, type Secret, type Weakness, weak, weakSecret } from '../values/weakness.ts';
import type { SourceConfig } from './types.ts';

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
