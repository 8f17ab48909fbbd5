import type { VerifyConfig } from '../../config/source/types.ts';
import { RequestError } from '../../core/errors.ts';
import { resolvePointer } from '../../json/pointer.ts';
import { type GuardedSource, sourceInPath } from '../admission/admit.ts';
import type { Head } from '../body/head.ts';
import type { Source } from '../formats/source.ts';
import { decodeWebhook } from '../formats/webhook.ts';
import type { Outcome } from '../outcome.ts';
import { type Reply, verdictReply } from '../reply.ts';
import type { DecodedBody, Protocol, ReceivedBody } from './protocol.ts';

/** `/webhooks/{source}`: a request is an event. GET is for the proof that X (Twitter) asks for. */
export function webhookProtocol(sources: Map<string, GuardedSource>): Protocol {
  return {
    sourceOf(head) {
      const guarded = sourceInPath(sources, head, 'webhook');
      if (head.method === 'GET' && schemeOf(guarded.source) !== 'twitter')
        throw new RequestError('method_not_allowed', 'this source takes POST', { allow: 'POST, OPTIONS' });
      return guarded;
    },
    open: (head) => (received) => read(head, received),
    reply,
  };
}

/**
 * A refused event that is kept is a success for its sender: sent again it would be refused again, and many
 * providers end a subscription after some failures.
 */
function reply(outcome: Outcome, _head: Head, source: Source): Reply {
  const { counts, events } = outcome;
  const lost = events.some(({ errors }) => errors.some(({ code }) => code === 'event_too_large'));
  if (counts.retry > 0 || lost) return verdictReply(outcome);
  const scheme = schemeOf(source);
  // Slack shows the reply to people who used a command, and takes only 200 for success.
  if (scheme === 'slack') return { status: 200, body: null, headers: {} };
  return verdictReply(outcome, scheme === 'twitter' ? 200 : 202);
}

function schemeOf({ config }: Source): VerifyConfig['scheme'] | undefined {
  return config.verify?.scheme;
}

function read(head: Head, { body, admission, signed, context }: ReceivedBody): DecodedBody | Reply {
  const { source } = admission!.guarded;
  if (head.method === 'GET') return answer({ response_token: signed!.response! });
  if (body.length === 0) throw new RequestError('empty_body', 'a webhook has a body');
  const decoded = decodeWebhook({ body, contentType: head.header('content-type'), signed }, context(source));
  const challenge = schemeOf(source) === 'slack' ? challengeOf(decoded.json) : null;
  return challenge === null ? { admission: admission!, events: [decoded] } : answer({ challenge });
}

/** The challenge that Slack sends once to check who owns the address; null for every event. */
function challengeOf(json: unknown): string | null {
  if (resolvePointer(json, ['type']) !== 'url_verification') return null;
  const challenge = resolvePointer(json, ['challenge']);
  return typeof challenge === 'string' ? challenge : null;
}

function answer(body: object): Reply {
  return { status: 200, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}
