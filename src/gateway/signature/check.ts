import { RequestError } from '../../core/errors.ts';
import type { Head } from '../body/head.ts';

/** The result of a signature that is right. */
export interface Signed {
  /** Index of the secret that matched. */
  secret: number;
  /** The delivery's id, when the scheme sends one in a header. */
  id: string | null;
  /** True when the signature covers the id. */
  idSigned: boolean;
  /** The device that signed; scheme `device` alone has one. */
  device?: string;
  /** The reply to a request that asks for a proof; scheme `twitter` alone has one. */
  response?: string;
}

/**
 * Checks the signature of a body; `sent` is the body before its content-encoding is undone. Rejects with RequestError
 * `unauthorized`, which has the same text for all failures.
 */
export type SignatureCheck = (sent: Uint8Array, head: Head) => Promise<Signed>;

/** Why a check refused a signature, in metrics and in the log. Clients are not told. */
type Refusal = 'missing' | 'malformed' | 'expired' | 'mismatch';

/** RequestError `unauthorized`. Its text is the same for all refusals: another one would help to guess. */
export function badSignature(reason: Refusal): RequestError {
  const error = new RequestError('unauthorized', 'the signature is missing, wrong or expired', {
    'www-authenticate': 'Signature',
  });
  error.reason = reason;
  return error;
}

/**
 * Checks a time in whole seconds since 1970, which may differ from now by `tolerance` milliseconds either way.
 * Throws `malformed` or `expired`.
 */
export function checkTime(text: string, tolerance: number): void {
  if (!/^\d{1,11}$/.test(text)) throw badSignature('malformed');
  const off = Math.abs(Math.floor(Date.now() / 1000) - Number(text));
  if (off * 1000 > tolerance) throw badSignature('expired');
}
