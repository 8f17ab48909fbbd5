import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';

/** The keys of Standard Webhooks secrets, which are `whsec_` and base64. */
export function signingKeys(secrets: readonly string[]): KeyObject[] {
  return secrets.map((secret) => createSecretKey(Buffer.from(secret.replace(/^whsec_/, ''), 'base64')));
}

/**
 * The headers of Standard Webhooks for a body, which is signed byte for byte with each key. The same `identity` gives the
 * same webhook-id. `seconds`: the time of this attempt, since 1970.
 */
export function signatureHeaders(
  keys: readonly KeyObject[],
  identity: string,
  seconds: number,
  body: Uint8Array | null,
): string[] {
  // As a hash: a full stop in it would make the signed text ambiguous, and an event's id may have one.
  const id = hash('sha256', identity, 'base64url');
  const head = `${id}.${seconds}.`;
  let signatures = '';
  for (const key of keys) {
    const hmac = createHmac('sha256', key).update(head);
    if (body !== null) hmac.update(body);
    signatures += `${signatures === '' ? '' : ' '}v1,${hmac.digest('base64')}`;
  }
  return ['webhook-id', id, 'webhook-timestamp', String(seconds), 'webhook-signature', signatures];
}
