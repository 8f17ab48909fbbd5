import { headerAttributes, isEventType } from '../../cloudevents/attributes.ts';
import { RequestError } from '../../core/errors.ts';
import type { DecodedEvent } from '../../core/event.ts';
import { unusable } from '../../core/header-text.ts';
import { locate, skipSpace, valueSpan } from '../../json/scan.ts';
import { fillAttributes, fillKeys } from './cloudevents-attributes.ts';
import { decodeArray, parseBody, shapeFits, sizeFits } from './json.ts';
import { type DecodeContext, emptyEvent, refuse } from './source.ts';

/** Whoever reads the record would take the data for the event: its attributes would be those that a client made up. */
const CLAIMS = 'must not say that the data is itself a CloudEvent';
const JSON_TYPE = /^[^;]*[/+]json\s*(?:;|$)/i;

/** True for application/json, text/json and any +json. */
export function isJsonType(contentType: string): boolean {
  return JSON_TYPE.test(contentType);
}

/** Binary mode (CloudEvents HTTP binding 3.1): attributes in `ce-` headers, the body is the data. */
export function decodeBinary(
  bytes: Uint8Array,
  contentType: string | null,
  headers: Iterable<[string, string]>,
  context: DecodeContext,
): DecodedEvent[] {
  const event = emptyEvent(0, context, bytes.length === 0 ? null : bytes);
  const attributes = headerAttributes(headers, (header, why) =>
    refuse(event, 'bad_cloudevent', `header ${header} ${why}`),
  );
  fillAttributes(event, attributes, context, (name) => `header ce-${name}`);
  if (contentType !== null && isEventType(contentType))
    refuse(event, 'unsupported_type', `header Content-Type ${CLAIMS}`);
  else if (contentType !== null) event.headers['content-type'] = contentType;
  const isJson = contentType !== null && isJsonType(contentType) && bytes.length > 0;
  if (sizeFits(event, bytes.length, context) && isJson) parseData(event, context);
  fillKeys(event, context, attributes);
  return [event];
}

/** Structured mode (3.2): the body is one event in the JSON format; some senders label a batch as one, too. */
export function decodeStructured(bytes: Uint8Array, context: DecodeContext): Iterable<DecodedEvent> {
  const start = skipSpace(bytes, 0, bytes.length);
  if (start === bytes.length) throw new RequestError('empty_body', 'send a CloudEvent');
  if (bytes[start] === 0x5b) return decodeBatch(bytes, context);
  const event = emptyEvent(0, context, bytes);
  const span = spanOf(bytes, start);
  if (
    sizeFits(event, bytes.length, context) &&
    (span === null || shapeFits(event, span, enveloped(context)))
  ) {
    event.json = parseBody(bytes, 0, bytes.length);
    openEnvelope(event, context);
  }
  return [event];
}

/** Batch mode (3.3): an array of structured events; may be empty. */
export function decodeBatch(bytes: Uint8Array, context: DecodeContext): Iterable<DecodedEvent> {
  const start = skipSpace(bytes, 0, bytes.length);
  if (start === bytes.length) throw new RequestError('empty_body', 'send an array of CloudEvents');
  if (bytes[start] !== 0x5b) {
    throw new RequestError(
      'bad_cloudevent',
      'a batch must be a JSON array; one event needs application/cloudevents+json',
    );
  }
  return decodeArray(bytes, start, enveloped(context), (event) => openEnvelope(event, context));
}

/** The limits are those of the data: the envelope is one more level around it. */
function enveloped(context: DecodeContext): DecodeContext {
  return { ...context, limits: { ...context.limits, depth: context.limits.depth + 1 } };
}

function spanOf(bytes: Uint8Array, start: number) {
  try {
    return valueSpan(bytes, start, bytes.length);
  } catch {
    return null; // JSON.parse words the error better
  }
}

/** Turns an event whose data is the whole envelope into one whose data is the envelope's data member. */
function openEnvelope(event: DecodedEvent, context: DecodeContext): void {
  const envelope = event.json as Record<string, unknown>;
  const bytes = event.data!;
  event.json = undefined;
  if (typeof envelope !== 'object' || envelope === null || Array.isArray(envelope)) {
    refuse(event, 'bad_cloudevent', 'a CloudEvent must be a JSON object', '#');
    return;
  }
  const { data, data_base64: base64, datacontenttype, ...attributes } = envelope;
  fillAttributes(event, attributes, context, (name) => `attribute ${name}`);
  const contentType = datacontenttype ?? 'application/json';
  if (
    typeof contentType !== 'string' ||
    contentType === '' ||
    unusable(contentType, context.limits.id) !== null
  ) {
    refuse(event, 'bad_cloudevent', 'attribute datacontenttype must be a media type', '#/datacontenttype');
    return;
  }
  if (isEventType(contentType)) {
    refuse(event, 'unsupported_type', `attribute datacontenttype ${CLAIMS}`, '#/datacontenttype');
    return;
  }
  event.data = null;
  if (data !== undefined && base64 !== undefined) {
    refuse(event, 'bad_cloudevent', 'data and data_base64 exclude each other', '#/data_base64');
  } else if (base64 !== undefined && base64 !== null) {
    event.data = fromBase64(base64);
    if (event.data === null) refuse(event, 'bad_cloudevent', 'data_base64 must be base64', '#/data_base64');
  } else if (data !== undefined) {
    if (isJsonType(contentType) || typeof data !== 'string') {
      const span = locate(bytes, { start: 0, end: bytes.length }, ['data'])!;
      event.data = bytes.subarray(span.start, span.end);
      event.json = data;
    } else {
      event.data = new TextEncoder().encode(data);
    }
  }
  if (datacontenttype !== undefined || event.data !== null) event.headers['content-type'] = contentType;
  if (base64 !== undefined && event.data !== null && isJsonType(contentType)) parseData(event, context);
  fillKeys(event, context, attributes);
}

/** Parses data that is JSON; refuses the event when it is not, or is nested too deeply. */
export function parseData(event: DecodedEvent, context: DecodeContext): void {
  const bytes = event.data!;
  try {
    const span = spanOf(bytes, skipSpace(bytes, 0, bytes.length));
    if (span !== null && !shapeFits(event, span, context)) return;
    event.json = parseBody(bytes, 0, bytes.length);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    refuse(event, error.code, `data: ${error.message}`);
  }
}

function fromBase64(value: unknown): Uint8Array | null {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(value) || value.length % 4 !== 0)
    return null;
  return Uint8Array.from(atob(value), (c) => c.charCodeAt(0));
}
