import type { SourceConfig } from '../../config/source/types.ts';
import { ERROR_CODES, type ErrorCode, errorRow, problemType } from '../../core/errors.ts';
import type { JsonObject, Route } from '../route.ts';
import { EVENT_CODES, ref } from './reply-schemas.ts';

/** Codes that only some routes answer with. Any route may answer with the others. */
const ONLY: Partial<Record<ErrorCode, (route: Route, sources: SourceConfig[]) => boolean>> = {
  bad_cloudevent: (route) => route.takes === 'events',
  bad_segment: (route) => route.takes === 'segment',
  // The sender of a webhook is told of success: it could do nothing about it.
  id_reused: (route) => route.takes !== 'webhook',
  bad_webhook: (route) => route.takes === 'webhook',
  bad_senml: (route) => route.accepts.some((type) => type.includes('senml')),
  not_cbor: (route) => route.accepts.some((type) => type.includes('cbor')),
  unauthorized: (_, sources) => sources.some(needsCredentials),
  forbidden: (_, sources) => sources.some(({ origins }) => origins !== null),
  keys_unavailable: (_, sources) => sources.some(({ jwt }) => jwt !== null),
  rate_limited: (_, sources) => sources.some(({ rate }) => rate.all !== null || rate.key !== null),
};

/** True when a sender needs a key, a token or a signature. */
export function needsCredentials({ protocol, keys, jwt, verify }: SourceConfig): boolean {
  return protocol === 'segment' || keys.length > 0 || jwt !== null || verify !== null;
}

const DESCRIPTIONS: Record<number, string> = {
  400: 'The request cannot be read, or none of its events can. Nothing is stored.',
  401: 'The key, token or signature is missing or wrong; the reply does not say which.',
  403: 'The source takes no events from web pages of this origin.',
  404: 'There is no such source or path.',
  405: 'The path does not take this method; `Allow` names the methods that it takes.',
  409: 'No event is stored: another payload is stored under each id. The same request would be refused again.',
  408: 'The head or the body of the request arrived too slowly. The detail names the limit.',
  413: 'The body, one event or the number of events is over its limit. The detail names the limit.',
  415: 'The media type, the charset or the content-encoding is not supported here.',
  422: 'No event is stored: each is refused, with its reasons. The same request would be refused again.',
  429: 'The source is over its rate. Wait as long as `Retry-After` says.',
  431: 'There are too many header fields, or they are too long.',
  500: 'The gateway failed. Send the events again: those that are stored count as duplicates.',
  503: 'Some events could not be stored now. Send the request again after `Retry-After`. When the reply has no `omitted`, it is enough to send the events with the verdict `retry`.',
};

const json = (schema: JsonObject, example: unknown) => ({ 'application/json': { schema, example } });

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
      description: 'Every event is stored now, or was stored before: then it counts as a duplicate.',
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
        'Some events are stored. The others are listed with their reasons: they are refused, or another payload is stored under their id.',
      content: json(ref('schemas', 'Verdicts'), { ...good, rejected: 1, events: [duplicate, rejected] }),
    },
  };
}

function problemAnswer(status: number, codes: ErrorCode[], limited: boolean): JsonObject {
  const whole = codes.filter((code) => errorRow(code).status === status);
  const events = EVENT_CODES.filter((code) => codes.includes(code));
  // Events whose codes have different statuses give 422. The problem type is that of the first event.
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
          detail: 'says what is wrong, and names the limit if there is one',
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
