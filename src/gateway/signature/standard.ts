import type { VerifyConfig } from '../../config/source/types.ts';
import { fromBase64 } from '../../core/encoding.ts';
import { badSignature, checkTime, type SignatureCheck } from './check.ts';
import { type Bytes, bytesOf, importMacKey, joined, type Key, mac, sameBytes } from './mac.ts';

/** Most signatures of one header that are tried. A sender that changes its secret sends two for a while. */
const MAX_SIGNATURES = 16;
/** The same for Ed25519: it costs more, and hashes the body each time. */
const MAX_ED25519 = 4;

type Matches = (message: Bytes, signatures: Signatures) => Promise<boolean>;
type Signatures = Record<'v1' | 'v1a', Bytes[]>;

/** Standard Webhooks 1.0, with its own header names or those of Svix. */
export function standardCheck({ secrets, tolerance }: VerifyConfig): SignatureCheck {
  const matchers = secrets.map(makeMatcher);
  return async (sent, head) => {
    const family = head.header('webhook-signature') === undefined ? 'svix' : 'webhook';
    const id = head.header(`${family}-id`);
    const time = head.header(`${family}-timestamp`);
    const header = head.header(`${family}-signature`);
    if (!id || !time || !header) throw badSignature('missing');
    checkTime(time, tolerance);
    const signatures = signaturesOf(header);
    const message = joined([bytesOf(`${id}.${time}.`), sent]) as Bytes;
    for (const [secret, matches] of matchers.entries())
      if (await matches(message, signatures)) return { secret, id, idSigned: true };
    throw badSignature('mismatch');
  };
}

/** Signatures of a list such as `v1,<base64> v2,... v1a,<base64>`; entries that cannot be read are left out. */
function signaturesOf(header: string): Signatures {
  // Runtimes join two header fields of one name like this. No sender means to send two.
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

/** `whpk_` begins the sender's public key (v1a). Others are shared secrets (v1) in base64, mostly after `whsec_`. */
function makeMatcher(secret: string): Matches {
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
    for (const signature of v1a.slice(0, MAX_ED25519)) {
      if (await crypto.subtle.verify('Ed25519', await key, signature, message)) return true;
    }
    return false;
  };
}
