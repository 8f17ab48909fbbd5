import { RequestError } from '../../core/errors.ts';
import { unusable } from '../../core/header-text.ts';

/** The Idempotency-Key header: a Structured-Fields string, or the bare text that many clients send. */
export function idempotencyKeyOf(header: string | undefined, limit: number): string | null {
  if (header === undefined) return null;
  const text = header.trim();
  const key = /^".*"$/.test(text) ? text.slice(1, -1).replace(/\\(["\\])/g, '$1') : text;
  const bad = key === '' ? 'is empty' : unusable(key, limit);
  if (bad !== null) throw new RequestError('bad_request', `header Idempotency-Key ${bad}`);
  return key;
}

/** The error for that header beside a signature: no signature covers it, so it must not make a new event of an old body. */
export function unsignedIdempotencyKey(): RequestError {
  return new RequestError(
    'bad_request',
    'header Idempotency-Key is not signed; this source takes signed bodies only, so the id has to be in the body',
  );
}
