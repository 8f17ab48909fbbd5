import { type GuardedSource, sourceInPath } from '../admission/admit.ts';
import type { Head } from '../body/head.ts';
import { decode, type Format, sourceFormat } from '../decode.ts';
import type { Outcome } from '../pipeline.ts';
import { type Reply, verdictReply } from '../reply.ts';
import type { Input, Protocol, Reading } from './protocol.ts';

/** `POST /events/{source}`: JSON, NDJSON, CloudEvents, SenML. */
export function eventsProtocol(sources: Map<string, GuardedSource>): Protocol {
  return {
    sourceOf: (head) => sourceInPath(sources, head, 'events'),
    inspect: (head) => void formatIn(head, sourceInPath(sources, head, 'events')),
    read,
    reply,
  };
}

function formatIn(head: Head, { source }: GuardedSource): Format {
  return sourceFormat(head.header('content-type'), head.header, source.config.verify);
}

function read({ head, body, admission, context }: Input): Reading {
  const { source } = admission!.guarded;
  const contentType = head.header('content-type');
  const format = formatIn(head, admission!.guarded);
  return { admission: admission!, events: decode(format, body, contentType, head.headers, context(source)) };
}

const MINIMAL: Reply = { status: 204, body: null, headers: { 'preference-applied': 'return=minimal' } };

/** One verdict per event, or nothing at all when all went well and the client prefers it so (RFC 7240 4.2). */
function reply({ counts, events }: Outcome, head: Head): Reply {
  const full = verdictReply(counts, events);
  if (full.status === 202 && /\breturn=minimal\b/.test(head.header('prefer') ?? '')) return MINIMAL;
  return full;
}
