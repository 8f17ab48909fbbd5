import type { VerifyConfig } from '../../config/source/types.ts';
import { fromHex } from '../../core/encoding.ts';
import { badSignature, checkTime, type SignatureCheck } from './check.ts';
import { bytesOf, joined, makeMacs, sameBytes } from './mac.ts';

const MAX_PARTS = 32;

/** `Stripe-Signature: t=<seconds>,v1=<hex>,...`; the secret is the whole text, `whsec_` included. */
export function stripeCheck({ secrets, tolerance }: VerifyConfig): SignatureCheck {
  const macs = makeMacs(secrets.map(bytesOf), 'sha256');
  return async (sent, head) => {
    const header = head.header('stripe-signature');
    if (!header) throw badSignature('missing');
    const { time, signatures } = read(header);
    checkTime(time, tolerance);
    const message = joined([bytesOf(`${time}.`), sent]);
    for (let secret = 0; secret < macs.count; secret++) {
      const right = await macs.of(secret, message);
      if (signatures.some((signature) => sameBytes(right, signature)))
        return { secret, id: null, idSigned: false };
    }
    throw badSignature('mismatch');
  };
}

/** Signatures of other versions are left out: v0 is for tests. */
function read(header: string): { time: string; signatures: Uint8Array[] } {
  const times: string[] = [];
  const signatures: Uint8Array[] = [];
  for (const part of header.split(',', MAX_PARTS)) {
    const [name, value] = part.trim().split('=', 2);
    const bytes = name === 'v1' && value ? fromHex(value) : null;
    if (bytes !== null) signatures.push(bytes);
    if (name === 't') times.push(value ?? '');
  }
  if (times.length !== 1) throw badSignature('malformed');
  return { time: times[0]!, signatures };
}
