import { ATTRIBUTE_BYTES } from '../cloudevents/attributes.ts';
import { foreignCharset, mediaType } from '../cloudevents/content-type.ts';
import { binaryHeader, type ReceivedEvent, readBinary, readStructured } from '../cloudevents/read.ts';
import { parseJson } from '../cloudevents/record.ts';
import { unusable } from '../core/header-text.ts';
import { NO_TRACE, traceHeaders } from '../core/trace-context.ts';
import { isObject } from '../json/parse.ts';
import { eachElement, ScanError, skipSpace } from '../json/scan.ts';
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

const MEDIA_LIMIT = 255;
const KEY_LIMIT = 4096;
/**
 * The id and the attributes may be as large as those of any event from outside, with the attributes that the gateway
 * adds: a function may give all of them back.
 */
const RULES = {
  id: 4096,
  bytes: ATTRIBUTE_BYTES + 2048,
  contentType: MEDIA_LIMIT,
  dropReserved: false,
  defaults: {},
};
const CLOUDEVENTS = 'application/cloudevents';
const OPEN_ARRAY = 0x5b;

/**
 * The events in a function's reply, in the three modes of the CloudEvents HTTP binding (section 3). Empty for any other
 * reply, such as text or JSON. Throws BadReply.
 */
export function readReply({ headers, body }: FunctionReply): ReplyEvent[] {
  const contentType = one(headers, 'content-type');
  const type = contentType === null ? '' : mediaType(contentType);
  const trace = traceHeaders(
    one(headers, 'traceparent') ?? undefined,
    one(headers, 'tracestate') ?? undefined,
  );
  if (!type.startsWith(CLOUDEVENTS)) {
    const isEvent = binaryHeader((name) => headers[name] !== undefined) !== undefined;
    return isEvent ? [binary(headers, contentType, body, trace)] : [];
  }
  const start = skipSpace(body, 0, body.length);
  if (start === body.length) return [];
  if (type !== `${CLOUDEVENTS}+json` && type !== `${CLOUDEVENTS}-batch+json`)
    throw new BadReply(`events of the type ${type.slice(0, 64)} are not understood`);
  if (foreignCharset(contentType!) !== null) throw new BadReply('the charset of an event must be utf-8');
  if (body[start] === OPEN_ARRAY) return batch(body, start, trace);
  if (type !== `${CLOUDEVENTS}+json`) throw new BadReply('a batch must be an array');
  return [structured(body, 'event', trace)];
}

function one(headers: FunctionReply['headers'], name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' ? value : null;
}

function binary(
  headers: FunctionReply['headers'],
  contentType: string | null,
  body: Uint8Array,
  trace: Record<string, string>,
): ReplyEvent {
  const sent = Object.entries(headers).flatMap(([name, value = []]): [string, string][] =>
    [value].flat().map((single) => [name, single]),
  );
  if (contentType !== null && (contentType === '' || unusable(contentType, MEDIA_LIMIT) !== null))
    throw new BadReply('header content-type must be a media type');
  return eventOf(readBinary(sent, contentType, body, RULES), 'header ce-', '', trace);
}

function batch(body: Uint8Array, start: number, trace: Record<string, string>): ReplyEvent[] {
  const events: ReplyEvent[] = [];
  try {
    eachElement(body, start, body.length, (span) =>
      events.push(structured(body.subarray(span.start, span.end), `event ${events.length}`, trace)),
    );
  } catch (error) {
    if (error instanceof ScanError) throw new BadReply(`the batch: ${error.message}`);
    throw error;
  }
  return events;
}

/** One event in the JSON format. `place` names it in errors. */
function structured(bytes: Uint8Array, place: string, trace: Record<string, string>): ReplyEvent {
  const json = parseJson(bytes);
  if (!isObject(json)) throw new BadReply(`${place} is no JSON object`);
  return eventOf(readStructured(bytes, json, RULES), 'attribute ', `${place}: `, trace);
}

/** `kind` and `place` begin the names of attributes in errors. */
function eventOf(
  { headers, data, errors }: ReceivedEvent,
  kind: string,
  place: string,
  trace: Record<string, string>,
): ReplyEvent {
  const [error] = errors;
  if (error !== undefined) throw new BadReply(place + error.detail);
  const key = headers.ce_partitionkey ?? '';
  const tooLong = unusable(key, KEY_LIMIT);
  if (tooLong !== null) throw new BadReply(`${place}${kind}partitionkey ${tooLong}`);
  // The distributed tracing extension of CloudEvents has the trace context as attributes.
  const own = traceHeaders(headers.ce_traceparent, headers.ce_tracestate);
  return { headers, data, key: key === '' ? null : key, trace: own === NO_TRACE ? trace : own };
}
