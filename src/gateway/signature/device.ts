import type { VerifyConfig } from '../../config/source/types.ts';
import { toHex } from '../../core/encoding.ts';
import type { SignatureCheck } from './check.ts';
import { bytesOf, importMacKey, joined, mac, makeMacs, sameBytes } from './mac.ts';
import { badSignature, checkTime } from './refusal.ts';
import { signatureOf } from './template.ts';

const DEVICE = /^[\x21-\x7e]{1,256}$/;

/**
 * A key for each device, none of which the gateway has to store: the hex of HMAC-SHA256(secret, device id).
 * A device signs `{timestamp}.{body}` with that text, and names itself in a header.
 */
export function deviceCheck(config: VerifyConfig): SignatureCheck {
  const macs = makeMacs(config.secrets.map(bytesOf), 'sha256');
  const idHeader = config.id ?? 'x-device-id';
  const header = config.header ?? 'x-signature';
  return async (sent, head) => {
    const device = head.header(idHeader);
    if (!device) throw badSignature('missing');
    if (!DEVICE.test(device)) throw badSignature('malformed');
    const time = config.timestamp === null ? null : head.header(config.timestamp);
    if (time === undefined || time === '') throw badSignature('missing');
    const signature = signatureOf(head, header, '', config.encoding);
    if (time !== null) checkTime(time, config.tolerance);
    const message = time === null ? sent : joined([bytesOf(`${time}.`), sent]);
    for (let secret = 0; secret < macs.count; secret++) {
      const key = await importMacKey(bytesOf(toHex(await macs.of(secret, bytesOf(device)))), 'sha256');
      if (sameBytes(await mac(key, message), signature)) return { secret, id: null, idSigned: false, device };
    }
    throw badSignature('mismatch');
  };
}
