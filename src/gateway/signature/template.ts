import type { VerifyConfig } from '../../config/source/types.ts';
import { fromBase64, fromHex } from '../../core/encoding.ts';
import type { Head } from '../body/head.ts';
import { badSignature, checkTime, type SignatureCheck } from './check.ts';
import { bytesOf, joined, makeMacs, sameBytes } from './mac.ts';

type Part = 'body' | 'timestamp' | 'id' | Uint8Array;

/** Checks the HMAC that stands in one header. The signed text is made of body, time and id by `template`. */
export function templateCheck(config: VerifyConfig): SignatureCheck {
  const { tolerance, prefix, encoding } = config;
  const macs = makeMacs(config.secrets.map(bytesOf), config.hash);
  const parts = partsOf(config.template);
  const idSigned = parts.includes('id');
  return async (sent, head) => {
    const signature = signatureOf(head, config.header!, prefix, encoding);
    const timestamp = config.timestamp === null ? '' : head.header(config.timestamp);
    const id = (config.id !== null && head.header(config.id)) || null;
    if (timestamp === undefined || (idSigned && id === null)) throw badSignature('missing');
    if (config.timestamp !== null) checkTime(timestamp, tolerance);
    const values = { body: sent, timestamp: bytesOf(timestamp), id: bytesOf(id ?? '') };
    const message = joined(parts.map((part) => (typeof part === 'string' ? values[part] : part)));
    for (let secret = 0; secret < macs.count; secret++) {
      if (sameBytes(await macs.of(secret, message), signature)) return { secret, id, idSigned };
    }
    throw badSignature('mismatch');
  };
}

/** The bytes of the signature in a header. Throws `missing` or `malformed`. */
export function signatureOf(
  head: Head,
  header: string,
  prefix: string,
  encoding: 'hex' | 'base64',
): Uint8Array {
  const text = head.header(header);
  if (text === undefined || text === '') throw badSignature('missing');
  if (!text.startsWith(prefix)) throw badSignature('malformed');
  const digest = text.slice(prefix.length);
  const bytes = encoding === 'hex' ? fromHex(digest) : fromBase64(digest);
  if (bytes === null) throw badSignature('malformed');
  return bytes;
}

function partsOf(template: string): Part[] {
  return template
    .split(/\{(body|timestamp|id)\}/)
    .map((text, i) => (i % 2 === 1 ? (text as 'body') : bytesOf(text)))
    .filter((part) => part.length > 0);
}
