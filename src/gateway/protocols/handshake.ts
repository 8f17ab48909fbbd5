import type { Rate } from '../../config/source/types.ts';
import { RequestError } from '../../core/errors.ts';
import type { Digests } from '../../ports/platform.ts';
import { admit } from '../admission/admit.ts';
import type { Head } from '../body/head.ts';
import type { Reply } from '../reply.ts';
import type { Protocol } from './protocol.ts';

/** A DNS name (CloudEvents webhook section 4.1.1). Some senders add a port, or send `*`. */
const ORIGIN = /^[A-Za-z0-9_.:*-]{1,253}$/;

/**
 * Consent to deliveries (CloudEvents webhook section 4), for senders with a key. The reply consents at once, so
 * `WebHook-Request-Callback` is never called. Rejects with RequestError when it does not consent.
 */
export async function consent(protocol: Protocol, head: Head, digests: Digests): Promise<Reply> {
  const guarded = protocol.sourceOf(head);
  if (guarded === null || guarded.signature !== null) {
    const detail =
      'only senders with a key in the head get consent; here the key or the signature belongs to a body';
    throw new RequestError('method_not_allowed', detail, { allow: 'POST' });
  }
  await admit(guarded, head, digests);
  const origin = head.header('webhook-request-origin')!;
  if (!ORIGIN.test(origin))
    throw new RequestError('bad_request', 'WebHook-Request-Origin must be a DNS name');
  const { all, key } = guarded.source.config.rate;
  const headers = {
    allow: 'POST',
    'webhook-allowed-origin': origin,
    'webhook-allowed-rate': perMinute(all, key),
  };
  return { status: 200, body: null, headers };
}

function perMinute(...rates: (Rate | null)[]): string {
  const perSecond = Math.min(...rates.map((rate) => rate?.events ?? Number.POSITIVE_INFINITY));
  return Number.isFinite(perSecond) ? String(perSecond * 60) : '*';
}
