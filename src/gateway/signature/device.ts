import type { VerifyConfig } from '../../config/source/types.ts';
import { toHex } from '../../core/encoding.ts';
import type { DecodedEvent } from '../../core/event.ts';
import { badSignature, checkTime, type SignatureCheck } from './check.ts';
import { bytesOf, importMacKey, joined, mac, makeMacs, sameBytes } from './mac.ts';
import { signatureOf } from './template.ts';

const DEVICE = /^[\x21-\x7e]{1,256}$/;

/**
 * Each device has a key of its own: HMAC-SHA256(secret, device id) in hex, so the gateway stores none of them. The
 * device signs `{timestamp}.{body}` with the text of its key, and sends its id in a header.
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

/** Writes the device that signed into an event and into its identity, so that two devices may use the same id. */
export function markDevice(event: DecodedEvent, device: string): void {
  event.headers.ce_device = device;
  if (event.identity !== '') event.identity += `\n${device}`;
}
