import type { Rate } from '../../config/source/types.ts';
import { RequestError } from '../../core/errors.ts';
import type { Digests } from '../../ports/platform.ts';
import type { Head } from '../body/head.ts';
import type { Protocol } from '../protocols/protocol.ts';
import type { Reply } from '../reply.ts';
import { admit } from './admit.ts';

/** A DNS name, as CloudEvents webhook 4.1.1 wants it; `*` and ports are in use too. */
const ORIGIN = /^[A-Za-z0-9_.:*-]{1,253}$/;

/**
 * Consent to deliveries (CloudEvents webhook section 4) for who could deliver at once: `WebHook-Request-Callback` is never
 * called. Throws or rejects with RequestError when there is none.
 */
export async function consent(protocol: Protocol, head: Head, digests: Digests): Promise<Reply> {
  const door = protocol.door(head);
  if (door === null || door.signature !== null) {
    const detail = 'consent is given to senders with a key; here the body tells who sends';
    throw new RequestError('method_not_allowed', detail, { allow: 'POST' });
  }
  await admit(door, head, digests);
  const origin = head.header('webhook-request-origin')!;
  if (!ORIGIN.test(origin))
    throw new RequestError('bad_request', 'WebHook-Request-Origin must be a DNS name');
  const { all, key } = door.source.config.rate;
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
