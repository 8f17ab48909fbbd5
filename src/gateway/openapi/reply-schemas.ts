import type { ErrorCode } from '../../core/errors.ts';
import type { JsonObject } from '../route.ts';

/** Codes of single events. A request whose events are all refused gets the status of their code, or 422 when they differ. */
export const EVENT_CODES: ErrorCode[] = [
  'not_json', 'not_utf8', 'bad_cloudevent', 'bad_segment', 'bad_senml', 'not_cbor', 'bad_webhook', 'event_too_large',
  'not_an_object', 'too_deep', 'too_many_values', 'id_missing', 'id_invalid', 'attribute_invalid', 'key_invalid', 'schema_unknown',
  'schema_mismatch', 'id_reused', 'unsupported_type', 'batch_refused', 'log_unavailable', 'dedupe_unavailable', 'id_in_flight',
]; // biome-ignore format: a list

/** A reference to a component of the document. */
export const ref = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });
const count = (description: string): JsonObject => ({ type: 'integer', minimum: 0, description });
const text = (description: string): JsonObject => ({ description, schema: { type: 'string' } });

export const HEADERS: JsonObject = {
  'Retry-After': { description: 'Seconds to wait.', required: true, schema: { type: 'integer', minimum: 0 } },
  Allow: { ...text('The methods that the path takes.'), required: true },
  'Accept-Post': text('The media types that the path takes.'),
  'Accept-Encoding': text('The content-encodings that are taken.'),
  'WWW-Authenticate': text('The ways to send a key.'),
  RateLimit: text('What is left of the rate, and seconds until there is more.'),
  'RateLimit-Policy': text('The rates that the source allows.'),
};

/** Schemas of replies, by name. */
export function replySchemas(): JsonObject {
  const counts = {
    accepted: count('Events that this request stored.'),
    duplicates: count('Events that were stored before.'),
    rejected: count('Events that are refused. The same events would be refused again.'),
    retry: count('Events that could not be stored now. Send them again.'),
    events: {
      type: 'array',
      items: ref('schemas', 'EventVerdict'),
      description: 'The events that were not accepted, up to 64 KiB. Duplicates are left out first.',
    },
  };
  const required = Object.keys(counts);
  const verdicts = {
    ...counts,
    omitted: count(
      'Events that were not accepted and that do not fit into the list. Each may have any verdict but accepted, so after a 503 send all events again.',
    ),
  };
  const head = {
    type: { type: 'string', description: 'The kind of problem, for programs.' },
    title: { type: 'string', description: 'The kind of problem, for people.' },
    status: { type: 'integer', description: 'The status of the reply.' },
  };
  const EventVerdict = {
    type: 'object',
    description: 'The verdict on one event.',
    required: ['index', 'id', 'verdict'],
    properties: {
      index: count('Index among the events of the request, from 0.'),
      line: { type: 'integer', minimum: 1, description: 'Line number in newline-delimited JSON.' },
      id: { type: 'string', description: 'The id of the event; empty when it has none.' },
      verdict: { enum: ['duplicate', 'rejected', 'retry'] },
      changed: {
        const: true,
        description: 'The payload differs from the one that is stored under this id. It is not stored.',
      },
      errors: { type: 'array', minItems: 1, items: ref('schemas', 'EventError') },
    },
  };
  const EventError = {
    type: 'object',
    description: 'One reason why an event is not stored.',
    required: ['code', 'detail'],
    properties: {
      code: { enum: EVENT_CODES },
      pointer: {
        type: 'string',
        description: 'Place in the event: a JSON Pointer as a URI fragment, such as #/ts.',
      },
      detail: { type: 'string' },
    },
  };
  return {
    Verdicts: { type: 'object', description: 'The verdicts on the events.', required, properties: verdicts },
    EventVerdict,
    EventError,
    Problem: {
      type: 'object',
      description: 'A problem (RFC 9457) with the request as a whole.',
      required: ['type', 'title', 'status', 'detail'],
      properties: { ...head, detail: { type: 'string', description: 'What is wrong.' } },
    },
    RefusedEvents: {
      type: 'object',
      description: 'A problem (RFC 9457) that lists the reasons for each event.',
      required: ['type', 'title', 'status', ...required],
      properties: { ...head, ...verdicts },
    },
  };
}
