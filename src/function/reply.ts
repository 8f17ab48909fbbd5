import {
  ATTRIBUTE_BYTES,
  type Attributes,
  fillHeaders,
  headerAttributes,
  isEventType,
} from '../cloudevents/attributes.ts';
import { isJsonType, parseJson } from '../cloudevents/record.ts';
import { unusable } from '../core/header-text.ts';
import { NO_TRACE, traceHeaders } from '../core/trace-context.ts';
import { eachElement, locate, ScanError, skipSpace } from '../json/scan.ts';
import type { FunctionReply } from './answer.ts';

/** An event in a function's reply. */
export interface ReplyEvent {
  /** As record headers: `ce_*` and `content-type`. */
  headers: Record<string, string>;
  data: Uint8Array | null;
  /** The partitionkey extension, if any. */
  key: string | null;
  /** The trace context that the function gave it, as record headers. */
  trace: Record<string, string>;
}

/** A reply that claims to be a CloudEvent but breaks the specification. */
export class BadReply extends Error {
  override readonly name = 'BadReply';
}

/** The gateway's limits and room for the attributes it adds: a function may send all attributes of its event back. */
const LIMITS = { id: 4096, bytes: ATTRIBUTE_BYTES + 2048 };
const KEY_LIMIT = 4096;
const MEDIA_LIMIT = 255;
const CLOUDEVENTS = 'application/cloudevents';
const OTHER_CHARSET = /;\s*charset\s*=\s*"?(?!utf-?8\b|us-ascii\b)/i;
const OPEN_ARRAY = 0x5b;

/**
 * The events in a function's reply, in the three modes of the CloudEvents HTTP binding (section 3). Empty for any other
 * reply, such as text or JSON. Throws BadReply.
 */
export function readReply({ headers, body }: FunctionReply): ReplyEvent[] {
  const contentType = one(headers, 'content-type');
  const type = contentType === null ? '' : contentType.split(';', 1)[0]!.trim().toLowerCase();
  const given = traceHeaders(
    one(headers, 'traceparent') ?? undefined,
    one(headers, 'tracestate') ?? undefined,
  );
  if (!type.startsWith(CLOUDEVENTS)) {
    const isEvent = ['ce-specversion', 'ce-id', 'ce-type'].some((name) => headers[name] !== undefined);
    return isEvent ? [binary(headers, contentType, body, given)] : [];
  }
  if (skipSpace(body, 0, body.length) === body.length) return [];
  if (type !== `${CLOUDEVENTS}+json` && type !== `${CLOUDEVENTS}-batch+json`)
    throw new BadReply(`events of the type ${type.slice(0, 64)} are not understood`);
  if (OTHER_CHARSET.test(contentType!)) throw new BadReply('the charset of an event must be utf-8');
  const isBatch = body[skipSpace(body, 0, body.length)] === OPEN_ARRAY;
  if (!isBatch && type !== `${CLOUDEVENTS}+json`) throw new BadReply('a batch must be an array');
  return isBatch ? batch(body, given) : [structured(body, 'event', given)];
}

function one(headers: FunctionReply['headers'], name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' ? value : null;
}

function binary(
  headers: FunctionReply['headers'],
  contentType: string | null,
  body: Uint8Array,
  given: Record<string, string>,
): ReplyEvent {
  const sent = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    Array.isArray(value)
      ? value.map((single): [string, string] => [name, single])
      : value === undefined
        ? []
        : [[name, value]],
  );
  const attributes = headerAttributes(sent, (header, why) => bad(`header ${header}`, why));
  const event = eventOf(attributes, (name) => `header ce-${name}`, given);
  if (contentType !== null) event.headers['content-type'] = mediaType(contentType, 'header content-type');
  event.data = body.length === 0 ? null : body;
  return event;
}

function batch(body: Uint8Array, given: Record<string, string>): ReplyEvent[] {
  const events: ReplyEvent[] = [];
  try {
    eachElement(body, skipSpace(body, 0, body.length), ({ start, end }) =>
      events.push(structured(body.subarray(start, end), `event ${events.length}`, given)),
    );
  } catch (error) {
    if (error instanceof ScanError) throw new BadReply(`the batch: ${error.message}`);
    throw error;
  }
  return events;
}

/** One event in the JSON format. `place` names it in errors. */
function structured(bytes: Uint8Array, place: string, given: Record<string, string>): ReplyEvent {
  const json = parseJson(bytes);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) bad(place, 'is no JSON object');
  const { data, data_base64: base64, datacontenttype, ...attributes } = json as Record<string, unknown>;
  const event = eventOf(attributes, (name) => `${place}: attribute ${name}`, given);
  const contentType =
    datacontenttype === undefined || datacontenttype === null
      ? null
      : mediaType(datacontenttype, `${place}: attribute datacontenttype`);
  const isBinary = base64 !== undefined && base64 !== null;
  if (isBinary && data !== undefined) bad(place, 'has both data and data_base64');
  if (isBinary) event.data = fromBase64(base64, place);
  else if (typeof data === 'string' && contentType !== null && !isJsonType(contentType))
    event.data = Buffer.from(data);
  else if (data !== undefined) {
    const { start, end } = locate(bytes, { start: 0, end: bytes.length }, ['data'])!;
    event.data = bytes.subarray(start, end);
  }
  if (contentType !== null) event.headers['content-type'] = contentType;
  else if (event.data !== null) event.headers['content-type'] = 'application/json';
  return event;
}

function eventOf(
  attributes: Attributes,
  nameOf: (name: string) => string,
  given: Record<string, string>,
): ReplyEvent {
  const headers: Record<string, string> = {};
  fillHeaders(headers, attributes, LIMITS, (name, why) => bad(name === '' ? 'the event' : nameOf(name), why));
  const key = headers.ce_partitionkey ?? '';
  const tooLong = unusable(key, KEY_LIMIT);
  if (tooLong !== null) bad(nameOf('partitionkey'), tooLong);
  // The distributed tracing extension of CloudEvents has the trace context in attributes.
  const own = traceHeaders(headers.ce_traceparent, headers.ce_tracestate);
  return { headers, data: null, key: key === '' ? null : key, trace: own === NO_TRACE ? given : own };
}

function mediaType(value: unknown, place: string): string {
  if (typeof value !== 'string' || value === '') bad(place, 'must be a media type');
  const why = unusable(value, MEDIA_LIMIT);
  if (why !== null) bad(place, why);
  // A reader of the record would take the data for the whole event.
  if (isEventType(value)) bad(place, 'says that the data is itself a CloudEvent');
  return value;
}

function fromBase64(value: unknown, place: string): Uint8Array {
  if (typeof value !== 'string' || value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value))
    bad(place, 'has a data_base64 that is no base64');
  return Buffer.from(value, 'base64');
}

function bad(place: string, why: string): never {
  throw new BadReply(`${place} ${why}`);
}
