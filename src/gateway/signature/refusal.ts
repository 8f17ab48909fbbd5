import { RequestError } from '../../core/errors.ts';

/** Which step of a check refused, as our own metrics and logs call it. */
export type Refusal = 'missing' | 'malformed' | 'expired' | 'mismatch';

/** RequestError `unauthorized` with one text for all refusals: it must not help to guess. */
export function badSignature(reason: Refusal): RequestError {
  const error = new RequestError('unauthorized', 'the signature is missing, wrong or expired', {
    'www-authenticate': 'Signature',
  });
  error.reason = reason;
  return error;
}

/** A time in whole seconds since 1970 that may be off by `tolerance` ms either way. Throws `expired` or `malformed`. */
export function checkTime(text: string, tolerance: number): void {
  if (!/^\d{1,11}$/.test(text)) throw badSignature('malformed');
  const off = Math.abs(Math.floor(Date.now() / 1000) - Number(text));
  if (off * 1000 > tolerance) throw badSignature('expired');
}
