import type { VerifyConfig } from '../../config/source/types.ts';
import { fromBase64 } from '../../core/encoding.ts';
import type { SignatureCheck } from './check.ts';
import { type Bytes, bytesOf, importMacKey, joined, type Key, mac, sameBytes } from './mac.ts';
import { badSignature, checkTime } from './refusal.ts';

/** Signatures of one header that are tried: several come while a sender changes its secret, never many. */
const MAX_SIGNATURES = 16;
/** The same for ed25519, which costs more and hashes the body each time. */
const MAX_PUBLIC = 4;

type Test = (message: Bytes, signatures: Signatures) => Promise<boolean>;
type Signatures = Record<'v1' | 'v1a', Bytes[]>;

/** Standard Webhooks 1.0, by its own header names or those of Svix. */
export function standardCheck({ secrets, tolerance }: VerifyConfig): SignatureCheck {
  const tests = secrets.map(makeTest);
  return async (sent, head) => {
    const family = head.header('webhook-signature') === undefined ? 'svix' : 'webhook';
    const id = head.header(`${family}-id`);
    const time = head.header(`${family}-timestamp`);
    const header = head.header(`${family}-signature`);
    if (!id || !time || !header) throw badSignature('missing');
    checkTime(time, tolerance);
    const signatures = signaturesOf(header);
    const message = joined([bytesOf(`${id}.${time}.`), sent]) as Bytes;
    for (const [secret, test] of tests.entries())
      if (await test(message, signatures)) return { secret, id, idSigned: true };
    throw badSignature('mismatch');
  };
}

/** What can be read of a list such as `v1,<base64> v2,... v1a,<base64>`. */
function signaturesOf(header: string): Signatures {
  // Two header fields of the name, which every runtime joins like this, are nothing that a sender means.
  if (header.includes(', ')) throw badSignature('malformed');
  const found: Signatures = { v1: [], v1a: [] };
  for (const entry of header.split(' ', MAX_SIGNATURES)) {
    const comma = entry.indexOf(',');
    const version = entry.slice(0, comma);
    const bytes = fromBase64(entry.slice(comma + 1));
    if (bytes !== null && (version === 'v1' || version === 'v1a')) found[version].push(bytes);
  }
  return found;
}

/** `whpk_` is the sender's public key for v1a; all else is base64 of the secret for v1, mostly after `whsec_`. */
function makeTest(secret: string): Test {
  const bytes = fromBase64(secret.replace(/^wh(?:sec|pk)_/, ''))!;
  let key: Promise<Key> | undefined;
  if (!secret.startsWith('whpk_')) {
    return async (message, { v1 }) => {
      if (v1.length === 0) return false;
      key ??= importMacKey(bytes, 'sha256');
      const right = await mac(await key, message);
      return v1.some((signature) => sameBytes(right, signature));
    };
  }
  return async (message, { v1a }) => {
    key ??= crypto.subtle.importKey('raw', bytes, 'Ed25519', false, ['verify']);
    for (const signature of v1a.slice(0, MAX_PUBLIC)) {
      if (await crypto.subtle.verify('Ed25519', await key, signature, message)) return true;
    }
    return false;
  };
}
