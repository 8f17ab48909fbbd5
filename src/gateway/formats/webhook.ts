import { isEventType, isJsonType } from '../../cloudevents/content-type.ts';
import { RequestError } from '../../core/errors.ts';
import { type DecodedEvent, eventError } from '../../core/event.ts';
import { unusable } from '../../core/header-text.ts';
import { skipSpace, textOf } from '../../json/scan.ts';
import type { Signed } from '../signature/check.ts';
import { type ParsedData, parseData } from './cloudevents.ts';
import { sizeFault } from './event.ts';
import { plainEvent, timeText } from './fields.ts';
import { formFields, formJson } from './form.ts';
import { withoutMark } from './json.ts';
import { factsOf } from './provider.ts';
import type { DecodeContext, Source } from './source.ts';

export interface Delivery {
  body: Uint8Array;
  contentType: string | undefined;
  /** Null when the source wants no signature. */
  signed: Signed | null;
}

const FORM = /^application\/x-www-form-urlencoded\s*(?:;|$)/i;
const TEXT = /^text\/plain\s*(?:;|$)/i;
const JSON_TYPE = 'application/json';

/** A webhook's request is one event, whatever its body is. Throws RequestError `unsupported_type`. */
export function decodeWebhook({ body, contentType, signed }: Delivery, context: DecodeContext): DecodedEvent {
  if (contentType !== undefined && isEventType(contentType)) {
    const detail = 'a webhook is data and no CloudEvent; those are sent to a source of protocol events';
    throw new RequestError('unsupported_type', detail);
  }
  const { data, json, fault, type: dataType } = readData(body, contentType, signed !== null, context);
  const { source, header, limits } = context;
  const scheme = source.config.verify?.scheme ?? null;
  const facts = factsOf(scheme, json, header);
  const usable = (text: string | null) => text !== null && unusable(text, limits.id) === null;
  const type = source.config.type === null && usable(facts.type) ? facts.type! : source.type;
  const idempotencyKey = signed === null ? context.idempotencyKey : signedId(signed, facts.id, source);
  const named = { ...source, id: source.id ?? 'content', type };
  const { event, name } = plainEvent(
    { index: 0, line: null, soleEvent: true, bytes: data, json, fault: null },
    // The id is made from the body as sent: its Content-Type, which may make other data of it, is not signed.
    { ...context, idempotencyKey, source: named, content: body },
  );
  const time = source.time === null ? timeText(facts.time) : null;
  const headers = { ...event.headers, 'content-type': dataType, ...(time === null ? {} : { ce_time: time }) };
  const errors = fault === null ? event.errors : [fault, ...event.errors];
  return { event: { ...event, headers, errors }, json, name };
}

/**
 * The id that a signed request brings; null when it comes from the source's pointers or the body's digest. A sender who
 * repeats a signed body may change a header that is not signed: it counts only where the config names no id.
 */
function signedId(signed: Signed, inBody: string | null, source: Source): string | null {
  if (signed.idSigned) return signed.id;
  return inBody ?? (source.id === null ? signed.id : null);
}

/** The data of a webhook, parsed when it is JSON, and its content type. */
interface WebhookData extends ParsedData {
  data: Uint8Array;
  type: string;
}

function readData(
  body: Uint8Array,
  contentType: string | undefined,
  isSigned: boolean,
  context: DecodeContext,
): WebhookData {
  const type = contentType ?? 'application/octet-stream';
  const fault = sizeFault(body.length, context);
  if (fault !== null) return { data: body, json: undefined, type, fault };
  if (isJsonType(type)) return jsonData(withoutMark(body), type, context);
  // No signature covers the type: a body that is JSON stays JSON, and no form begins like it.
  if ((isSigned || contentType === undefined || TEXT.test(type)) && looksLikeJson(body)) {
    const read = jsonData(body, JSON_TYPE, context);
    // When it is not JSON that is no fault: no header said so.
    if (read.fault === null) return read;
  }
  if (FORM.test(type)) return readForm(body, type, context);
  return { data: body, json: undefined, type, fault: null };
}

function jsonData(data: Uint8Array, type: string, context: DecodeContext): WebhookData {
  const { json, fault } = parseData(data, context);
  return { data, type, json, fault };
}

/** A form with `payload` alone stands for the JSON in it, as with GitHub and Slack; any other becomes an object. */
function readForm(body: Uint8Array, type: string, context: DecodeContext): WebhookData {
  const fields = formFields(textOrEmpty(body));
  if (fields === null || fields.length === 0) {
    const fault = eventError('bad_webhook', 'the form has no fields, or is not percent-encoded UTF-8');
    return { data: body, json: undefined, type, fault };
  }
  const [name, value] = fields[0]!;
  const inner = new TextEncoder().encode(value);
  const isInner = fields.length === 1 && name === 'payload' && looksLikeJson(inner);
  const data = isInner ? inner : new TextEncoder().encode(formJson(fields));
  context.grow(data.length);
  return jsonData(data, JSON_TYPE, context);
}

function textOrEmpty(body: Uint8Array): string {
  try {
    return textOf(body);
  } catch {
    return '';
  }
}

function looksLikeJson(body: Uint8Array): boolean {
  const first = body[skipSpace(body, 0, body.length)];
  return first === 0x7b || first === 0x5b;
}
