import type { VerifyConfig } from '../../config/source/types.ts';
import { RequestError } from '../../core/errors.ts';
import { resolvePointer } from '../../json/pointer.ts';
import { type GuardedSource, sourceInPath } from '../admission/admit.ts';
import type { Head } from '../body/head.ts';
import { decodeWebhook } from '../formats/webhook.ts';
import type { Outcome } from '../pipeline.ts';
import { type Reply, verdictReply } from '../reply.ts';
import type { Input, Protocol, Reading } from './protocol.ts';

/** `/webhooks/{source}`: a request is an event. GET is for the proof that X asks for. */
export function webhookProtocol(sources: Map<string, GuardedSource>): Protocol {
  return { sourceOf, inspect() {}, read, reply };

  function sourceOf(head: Head): GuardedSource {
    const found = sourceInPath(sources, head, 'webhook');
    if (head.method === 'GET' && schemeOf(found) !== 'twitter') {
      throw new RequestError('method_not_allowed', 'this source takes POST', { allow: 'POST, OPTIONS' });
    }
    return found;
  }

  /**
   * A refused event that is kept is a success for its sender: sent again it would be refused again, and many
   * providers end a subscription after some failures.
   */
  function reply({ counts, events }: Outcome, head: Head): Reply {
    const lost = events.some(({ errors }) => errors.some(({ code }) => code === 'event_too_large'));
    if (counts.retry > 0 || lost) return verdictReply(counts, events);
    const scheme = schemeOf(sourceInPath(sources, head, 'webhook'));
    // Slack shows people what it gets for their commands, and takes no other success than 200.
    if (scheme === 'slack') return { status: 200, body: null, headers: {} };
    return verdictReply(counts, events, scheme === 'twitter' ? 200 : 202);
  }
}

function schemeOf(guarded: GuardedSource): VerifyConfig['scheme'] | undefined {
  return guarded.source.config.verify?.scheme;
}

function read({ head, body, admission, signed, context }: Input): Reading {
  const { source } = admission!.guarded;
  if (head.method === 'GET') return { answer: answer({ response_token: signed!.response! }) };
  if (body.length === 0) throw new RequestError('empty_body', 'a webhook has a body');
  const event = decodeWebhook({ body, contentType: head.header('content-type'), signed }, context(source));
  const challenge = schemeOf(admission!.guarded) === 'slack' ? challengeOf(event.json) : null;
  if (challenge !== null) return { answer: answer({ challenge }) };
  return { admission: admission!, events: [event] };
}

/** What Slack sends once to see whose the address is; it is no event. */
function challengeOf(json: unknown): string | null {
  if (resolvePointer(json, ['type']) !== 'url_verification') return null;
  const challenge = resolvePointer(json, ['challenge']);
  return typeof challenge === 'string' ? challenge : null;
}

function answer(body: object): Reply {
  return { status: 200, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}
