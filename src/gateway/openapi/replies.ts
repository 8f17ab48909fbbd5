import type { SourceConfig } from '../../config/source/types.ts';
import { ERROR_CODES, type ErrorCode, errorRow, problemType } from '../../core/errors.ts';
import type { JsonObject, Route } from '../route.ts';

/** Codes that only some routes answer with; all others may come from any. */
const ONLY: Partial<Record<ErrorCode, (route: Route, sources: SourceConfig[]) => boolean>> = {
  bad_cloudevent: (route) => route.takes === 'events',
  bad_segment: (route) => route.takes === 'segment',
  // The senders of webhooks can do nothing about it.
  id_reused: (route) => route.takes !== 'webhook',
  bad_webhook: (route) => route.takes === 'webhook',
  bad_senml: (route) => route.accepts.some((type) => type.includes('senml')),
  not_cbor: (route) => route.accepts.some((type) => type.includes('cbor')),
  unauthorized: (_, sources) => sources.some(isLocked),
  forbidden: (_, sources) => sources.some(({ origins }) => origins !== null),
  keys_unavailable: (_, sources) => sources.some(({ jwt }) => jwt !== null),
  rate_limited: (_, sources) => sources.some(({ rate }) => rate.all !== null || rate.key !== null),
};

/** True when not everybody may send to it. */
export function isLocked({ protocol, keys, jwt, verify }: SourceConfig): boolean {
  return protocol === 'segment' || keys.length > 0 || jwt !== null || verify !== null;
}

/** What may be wrong with a single event; when it is so with all, the request has that status, or 422. */
const OF_EVENTS: ErrorCode[] = [
  'not_json', 'not_utf8', 'bad_cloudevent', 'bad_segment', 'bad_senml', 'not_cbor', 'bad_webhook', 'event_too_large',
  'not_an_object', 'too_deep', 'too_many_values', 'id_missing', 'id_invalid', 'attribute_invalid', 'key_invalid', 'schema_unknown',
  'schema_mismatch', 'id_reused', 'unsupported_type', 'batch_refused', 'log_unavailable', 'dedupe_unavailable', 'id_in_flight',
]; // biome-ignore format: a list

const DESCRIPTIONS: Record<number, string> = {
  400: 'The request cannot be read, or none of its events can. Nothing of it was taken in.',
  401: 'The key, token or signature is missing or wrong; it is not said which.',
  403: 'The source does not take events from pages of this origin.',
  404: 'There is no such source or path.',
  405: 'The path does not take this method; `Allow` names those that it takes.',
  409: 'No event was taken in: under each id another payload was stored before. Sent again unchanged they would be refused again.',
  408: 'The head or the body of the request did not come in time. The detail names the limit.',
  413: 'The body, one event or the number of events is over its limit. The detail names the limit.',
  415: 'The media type, charset or content-encoding is not taken here.',
  422: 'No event was taken in: each is refused, with the reasons. Sent again unchanged they would be refused again.',
  429: 'The source takes no more than its rate. Wait as long as `Retry-After` says.',
  431: 'There are too many header fields, or they are too long.',
  500: 'Something is wrong in the gateway. The events may be sent again: those that were stored count as duplicates.',
  503: 'Some events could not be stored now. Send the request again after `Retry-After`. Where nothing is `omitted`, those events that say `retry` are enough.',
};

const ref = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });
const json = (schema: JsonObject, example: unknown) => ({ 'application/json': { schema, example } });
const count = (description: string): JsonObject => ({ type: 'integer', minimum: 0, description });

/** All answers of a route, by status. */
export function answersOf(route: Route, sources: SourceConfig[]): JsonObject {
  const answers: JsonObject = {};
  for (const ok of route.ok ?? ['verdicts' as const]) {
    if (ok === 'verdicts') Object.assign(answers, verdictAnswers(route));
    else answers[ok.status] = fixedAnswer(ok);
  }
  const codes = ERROR_CODES.filter((code) => ONLY[code]?.(route, sources) ?? true);
  const limited = codes.includes('rate_limited');
  for (const status of new Set(codes.map((code) => errorRow(code).status).sort((a, b) => a - b))) {
    answers[status] = problemAnswer(status, codes, limited);
  }
  return answers;
}

function fixedAnswer(ok: Exclude<NonNullable<Route['ok']>[number], 'verdicts'>): JsonObject {
  const { description, type, example } = ok;
  if (type === undefined) return { description };
  return { description, content: { [type]: example === undefined ? {} : { schema: {}, example } } };
}

function verdictAnswers({ takes }: Route): JsonObject {
  const good = { accepted: 2, duplicates: 1, rejected: 0, retry: 0 };
  const duplicate = { index: 1, id: 'd-17:41', verdict: 'duplicate' };
  const rejected = {
    index: 2,
    id: 'd-17:42',
    verdict: 'rejected',
    errors: [{ code: 'schema_mismatch', pointer: '#/ts', detail: 'must be a date-time' }],
  };
  const stored = {
    202: {
      description: 'Every event is stored, or was stored before: then it counts as a duplicate.',
      content: json(ref('schemas', 'Verdicts'), { ...good, events: [duplicate] }),
    },
  };
  if (takes !== 'events') return stored;
  return {
    ...stored,
    204: {
      description: 'The same as 202, for a client that sent `Prefer: return=minimal`.',
      headers: { 'Preference-Applied': { schema: { const: 'return=minimal' } } },
    },
    207: {
      description:
        'Some events are stored, others are not: they are refused, or have an id that another payload was stored under. Those are listed with the reasons.',
      content: json(ref('schemas', 'Verdicts'), { ...good, rejected: 1, events: [duplicate, rejected] }),
    },
  };
}

function problemAnswer(status: number, codes: ErrorCode[], limited: boolean): JsonObject {
  const whole = codes.filter((code) => errorRow(code).status === status);
  const events = OF_EVENTS.filter((code) => codes.includes(code));
  // Events that are refused for reasons of several statuses give 422, under the first one's reason.
  const mixed = status === 422 ? events.filter((code) => errorRow(code).status < 500) : [];
  const types = [...new Set([...whole, ...mixed])].map(problemType);
  const ofEvents = events.some((code) => errorRow(code).status === status);
  const problem = ref('schemas', 'Problem');
  const schema = {
    allOf: [ofEvents ? { anyOf: [problem, ref('schemas', 'RefusedEvents')] } : problem],
    properties: { type: { enum: types }, status: { const: status } },
  };
  const code = whole[0]!;
  const { title } = errorRow(code);
  const example =
    status === 422
      ? {
          type: problemType('schema_mismatch'),
          title: errorRow('schema_mismatch').title,
          status,
          ...{ accepted: 0, duplicates: 0, rejected: 1, retry: 0 },
          events: [
            {
              index: 0,
              id: 'd-17:42',
              verdict: 'rejected',
              errors: [{ code: 'schema_mismatch', pointer: '#/ts', detail: 'must be a date-time' }],
            },
          ],
        }
      : {
          type: problemType(code),
          title,
          status,
          detail: 'says what exactly, and names the limit if there is one',
        };
  return {
    description: DESCRIPTIONS[status] ?? title,
    ...(headersOf(status, limited) ?? {}),
    content: { 'application/problem+json': { schema, example } },
  };
}

function headersOf(status: number, limited: boolean): { headers: JsonObject } | null {
  const names: Record<number, string[]> = {
    401: ['WWW-Authenticate'],
    405: ['Allow'],
    415: ['Accept-Post', 'Accept-Encoding'],
    429: ['Retry-After', 'RateLimit', 'RateLimit-Policy'],
    503: ['Retry-After'],
  };
  const own = names[status]?.filter((name) => limited || !name.startsWith('RateLimit'));
  return own === undefined
    ? null
    : { headers: Object.fromEntries(own.map((name) => [name, ref('headers', name)])) };
}

const text = (description: string): JsonObject => ({ description, schema: { type: 'string' } });

export const HEADERS: JsonObject = {
  'Retry-After': { description: 'Seconds to wait.', required: true, schema: { type: 'integer', minimum: 0 } },
  Allow: { ...text('The methods that the path takes.'), required: true },
  'Accept-Post': text('The media types that the path takes.'),
  'Accept-Encoding': text('The content-encodings that are taken.'),
  'WWW-Authenticate': text('How to present a key.'),
  RateLimit: text('What is left of the rate, and seconds until it is full again.'),
  'RateLimit-Policy': text('The rate that the source takes.'),
};

/** Schemas of replies. */
export function replySchemas(): JsonObject {
  const counts = {
    accepted: count('Events that are stored now.'),
    duplicates: count('Events that had been stored before.'),
    rejected: count('Events that are refused; sent again they would be refused again.'),
    retry: count('Events that could not be stored now and should be sent again.'),
    events: {
      type: 'array',
      items: ref('schemas', 'EventVerdict'),
      description: 'Those not accepted, as far as they fit into 64 KiB; duplicates are left out first.',
    },
  };
  const required = Object.keys(counts);
  const verdicts = {
    ...counts,
    omitted: count(
      'Events that are not accepted, and not listed for want of room. Each may have any verdict but accepted: after a 503 send all events again.',
    ),
  };
  const head = {
    type: { type: 'string', description: 'The kind of problem; programs may decide by it.' },
    title: { type: 'string', description: 'The kind of problem for people.' },
    status: { type: 'integer', description: 'The status of the reply.' },
  };
  const EventVerdict = {
    type: 'object',
    description: 'What became of one event.',
    required: ['index', 'id', 'verdict'],
    properties: {
      index: count('Place among the events of the request, from 0.'),
      line: { type: 'integer', minimum: 1, description: 'Of newline-delimited JSON.' },
      id: { type: 'string', description: 'The id of the event; empty when it has none.' },
      verdict: { enum: ['duplicate', 'rejected', 'retry'] },
      changed: {
        const: true,
        description: 'A duplicate whose payload differs from what was stored under its id: it is not stored.',
      },
      errors: { type: 'array', minItems: 1, items: ref('schemas', 'EventError') },
    },
  };
  const EventError = {
    type: 'object',
    description: 'One reason why an event is not stored.',
    required: ['code', 'detail'],
    properties: {
      code: { enum: OF_EVENTS },
      pointer: { type: 'string', description: 'Where: a JSON Pointer as URI fragment, such as #/ts.' },
      detail: { type: 'string' },
    },
  };
  return {
    Verdicts: { type: 'object', description: 'What became of the events.', required, properties: verdicts },
    EventVerdict,
    EventError,
    Problem: {
      type: 'object',
      description: 'What is wrong with the request as a whole (RFC 9457).',
      required: ['type', 'title', 'status', 'detail'],
      properties: { ...head, detail: { type: 'string', description: 'What exactly.' } },
    },
    RefusedEvents: {
      type: 'object',
      description: 'A problem (RFC 9457) that says what is wrong with each event.',
      required: ['type', 'title', 'status', ...required],
      properties: { ...head, ...verdicts },
    },
  };
}
