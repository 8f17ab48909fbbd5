import { type GuardedSource, sourceInPath } from '../admission/admit.ts';
import type { Head } from '../body/head.ts';
import { decode, sourceFormat } from '../decode.ts';
import type { Outcome } from '../outcome.ts';
import { type Reply, verdictReply } from '../reply.ts';
import type { Protocol } from './protocol.ts';

/** `POST /events/{source}`: JSON, NDJSON, CloudEvents, SenML. */
export function eventsProtocol(sources: Map<string, GuardedSource>): Protocol {
  return {
    sourceOf: (head) => sourceInPath(sources, head, 'events'),
    open(head, guarded) {
      const { source } = guarded!;
      const contentType = head.header('content-type');
      const format = sourceFormat(contentType, head.header, source.config.verify);
      return ({ body, admission, context }) => {
        const events = decode(format, body, contentType, head.headers, context(source));
        return { admission: admission!, events };
      };
    },
    reply,
  };
}

const MINIMAL: Reply = { status: 204, body: null, headers: { 'preference-applied': 'return=minimal' } };

/** One verdict per event; an empty reply when all went well and the client prefers that (RFC 7240 section 4.2). */
function reply(outcome: Outcome, head: Head): Reply {
  const full = verdictReply(outcome);
  if (full.status === 202 && /\breturn=minimal\b/.test(head.header('prefer') ?? '')) return MINIMAL;
  return full;
}
