import { isEventType } from '../../cloudevents/attributes.ts';
import { RequestError } from '../../core/errors.ts';
import type { DecodedEvent } from '../../core/event.ts';
import { unusable } from '../../core/header-text.ts';
import { skipSpace, textOf } from '../../json/scan.ts';
import type { Signed } from '../signature/check.ts';
import { isJsonType, parseData } from './cloudevents.ts';
import { fillPlain, timeText } from './fields.ts';
import { formFields, formJson } from './form.ts';
import { sizeFits, withoutMark } from './json.ts';
import { factsOf } from './provider.ts';
import { type DecodeContext, emptyEvent, refuse, type Source } from './source.ts';

export interface Delivery {
  body: Uint8Array;
  contentType: string | undefined;
  /** Null when the source wants no signature. */
  signed: Signed | null;
}

const FORM = /^application\/x-www-form-urlencoded\s*(?:;|$)/i;
const TEXT = /^text\/plain\s*(?:;|$)/i;
const JSON_TYPE = 'application/json';

/** The one event that a webhook's request is, whatever its body is. Throws RequestError `unsupported_type`. */
export function decodeWebhook({ body, contentType, signed }: Delivery, context: DecodeContext): DecodedEvent {
  if (contentType !== undefined && isEventType(contentType)) {
    const detail = 'a webhook is data and no CloudEvent; those are sent to a source of protocol events';
    throw new RequestError('unsupported_type', detail);
  }
  const event = emptyEvent(0, context, body);
  const dataType = readData(event, body, contentType, signed !== null, context);
  const { source, header, limits } = context;
  const scheme = source.config.verify?.scheme ?? null;
  const facts = factsOf(scheme, event.json, header);
  const usable = (text: string | null) => text !== null && unusable(text, limits.id) === null;
  const type = source.config.type === null && usable(facts.type) ? facts.type! : source.type;
  const idempotencyKey = signed === null ? context.idempotencyKey : signedId(signed, facts.id, source);
  const named = { ...source, id: source.id ?? 'content', type };
  // Of the body as it came: its Content-Type, which may make other data of it, is not signed.
  fillPlain(event, { ...context, idempotencyKey, source: named, content: body }, true);
  const time = source.time === null ? timeText(facts.time) : null;
  if (time !== null) event.headers.ce_time = time;
  event.headers['content-type'] = dataType;
  return event;
}

/**
 * The id that a signed request has by itself; null: the source's places, or the digest, tell. A header that is not
 * signed may be changed by whoever sends the body again: it counts only where the config knows nothing better.
 */
function signedId(signed: Signed, inBody: string | null, source: Source): string | null {
  if (signed.idSigned) return signed.id;
  return inBody ?? (source.id === null ? signed.id : null);
}

/** Puts the data in place; returns its type. */
function readData(
  event: DecodedEvent,
  body: Uint8Array,
  contentType: string | undefined,
  isSigned: boolean,
  context: DecodeContext,
): string {
  const type = contentType ?? 'application/octet-stream';
  if (body.length > context.limits.event) {
    refuse(event, 'event_too_large', `event has ${body.length} bytes; the limit is ${context.limits.event}`);
    return type;
  }
  if (isJsonType(type)) {
    event.data = withoutMark(body);
    parseData(event, context);
    return type;
  }
  // No signature covers the type: what is JSON stays JSON, and no form begins like it.
  if ((isSigned || contentType === undefined || TEXT.test(type)) && looksLikeJson(body)) {
    parseData(event, context);
    if (event.errors.length === 0) return JSON_TYPE;
    // Nobody said that it is JSON.
    event.errors = [];
  }
  return FORM.test(type) ? (readForm(event, body, context) ?? type) : type;
}

/** A form that is nothing but `payload` stands for the JSON in it, as with GitHub and Slack; all else becomes an object. */
function readForm(event: DecodedEvent, body: Uint8Array, context: DecodeContext): string | null {
  const fields = formFields(textOrEmpty(body));
  if (fields === null || fields.length === 0) {
    refuse(event, 'bad_webhook', 'the form has no fields, or is not percent-encoded UTF-8');
    return null;
  }
  const [name, value] = fields[0]!;
  const inner = new TextEncoder().encode(value);
  const isInner = fields.length === 1 && name === 'payload' && looksLikeJson(inner);
  event.data = isInner ? inner : new TextEncoder().encode(formJson(fields));
  // A control character is six in JSON.
  if (sizeFits(event, event.data.length, context)) parseData(event, context);
  context.grow(event.data.length);
  return JSON_TYPE;
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
