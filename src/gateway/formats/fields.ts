import { isEventTime } from '../../cloudevents/attributes.ts';
import type { DecodedEvent } from '../../core/event.ts';
import { unusable } from '../../core/header-text.ts';
import { NO_TRACE } from '../../core/trace-context.ts';
import { fragment, resolvePointer } from '../../json/pointer.ts';
import { locate, textOf } from '../../json/scan.ts';
import { type DecodeContext, identityOf, type Place, refuse } from './source.ts';

/** A scalar of the payload as text; numbers as they were written, so that big or unusual ones stay apart. */
type Scalar = { kind: 's' | 'n' | 'b'; text: string } | 'missing' | 'not_scalar';

export function scalarAt(event: DecodedEvent, place: Place): Scalar {
  const value = resolvePointer(event.json, place.tokens);
  if (value === undefined || value === null) return 'missing';
  if (typeof value === 'string') return { kind: 's', text: value };
  if (typeof value === 'boolean') return { kind: 'b', text: String(value) };
  if (typeof value !== 'number') return 'not_scalar';
  const bytes = event.data!;
  const span = locate(bytes, { start: 0, end: bytes.length }, place.tokens)!;
  return { kind: 'n', text: textOf(bytes, span.start, span.end) };
}

/** Fills id, type, time, subject and key of a plain JSON event from the places that its source names. */
export function fillPlain(event: DecodedEvent, context: DecodeContext, only: boolean): void {
  const { source, trace } = context;
  fillId(event, context, only);
  const type =
    typeof source.type === 'string' ? source.type : (attribute(event, context, source.type, 'type') ?? '');
  const time = source.time === null ? null : timeAt(event, source.time);
  const subject = source.subject === null ? null : attribute(event, context, source.subject, 'subject');
  // All at once: an object that grows name by name is made several times over.
  const headers: Record<string, string> = {
    ce_specversion: '1.0',
    ce_source: source.uri,
    ce_id: event.id,
    ce_type: type,
    ce_time: time ?? context.receivedAt,
    'content-type': 'application/json',
  };
  if (event.id === '') delete headers.ce_id;
  if (subject !== null) headers.ce_subject = subject;
  event.headers = trace === NO_TRACE ? headers : { ...trace, ...headers };
  fillKey(event, context);
}

function fillId(event: DecodedEvent, context: DecodeContext, only: boolean): void {
  const { source, idempotencyKey } = context;
  let typed: string;
  if (idempotencyKey !== null) {
    event.id = only ? idempotencyKey : `${idempotencyKey}/${event.index}`;
    typed = `h${event.id}`;
  } else if (source.id === 'content') {
    event.id = context.digests.sha256(context.content ?? event.data!);
    typed = `c${event.id}`;
  } else if (source.id === null) {
    refuse(event, 'id_missing', 'send an Idempotency-Key header, or give the source an id in the config');
    return;
  } else {
    const joined = joinId(event, source.id, context);
    if (joined === null) return;
    typed = joined;
  }
  const bad = event.id === '' ? 'is empty' : unusable(event.id, context.limits.id);
  if (bad !== null) {
    const pointer =
      idempotencyKey === null && Array.isArray(source.id) ? fragment(source.id[0]!.pointer) : undefined;
    refuse(event, 'id_invalid', `id ${bad}`, pointer);
    event.id = '';
    return;
  }
  event.identity = identityOf(source, source.uri, typed);
}

/** Sets `event.id`, and returns the same with kinds and lengths, in which no two different lists are alike. */
function joinId(event: DecodedEvent, places: Place[], context: DecodeContext): string | null {
  const texts: string[] = [];
  let typed = '';
  for (const place of places) {
    const part = scalarAt(event, place);
    if (part === 'missing') {
      refuse(event, 'id_missing', 'is missing; the source takes its id from here', fragment(place.pointer));
      return null;
    }
    if (part === 'not_scalar' || part.kind === 'b') {
      refuse(event, 'id_invalid', 'must be a string or a number to be an id', fragment(place.pointer));
      return null;
    }
    const bad = unusable(part.text, context.limits.id);
    if (bad !== null) {
      refuse(event, 'id_invalid', bad, fragment(place.pointer));
      return null;
    }
    texts.push(part.text);
    typed += `${part.kind}${part.text.length}:${part.text}`;
  }
  event.id =
    texts.length === 1
      ? texts[0]!
      : texts.map((text) => text.replaceAll('%', '%25').replaceAll(':', '%3A')).join(':');
  return typed;
}

function attribute(event: DecodedEvent, context: DecodeContext, place: Place, name: string): string | null {
  const part = scalarAt(event, place);
  const required = name === 'type';
  if (part === 'missing' && !required) return null;
  if (typeof part === 'string' || part.text === '') {
    if (typeof part === 'object' && !required) return null;
    refuse(
      event,
      'attribute_invalid',
      `must be a non-empty string; it is the event's ${name}`,
      fragment(place.pointer),
    );
    return null;
  }
  const bad = unusable(part.text, context.limits.id);
  if (bad === null) return part.text;
  refuse(event, 'attribute_invalid', bad, fragment(place.pointer));
  return null;
}

/** RFC 3339 text is kept as it is; a number is seconds since 1970, or milliseconds from 1e11 on. Null: no time. */
export function timeText(value: unknown): string | null {
  if (typeof value === 'string' && isEventTime(value)) return value;
  if (typeof value !== 'number') return null;
  const ms = Math.abs(value) < 1e11 ? value * 1000 : value;
  return Math.abs(ms) < 253402300800000 && ms > -62135596800000 ? new Date(ms).toISOString() : null;
}

function timeAt(event: DecodedEvent, place: Place): string | null {
  const value = resolvePointer(event.json, place.tokens);
  if (value === undefined || value === null) return null;
  const text = timeText(value);
  if (text !== null) return text;
  refuse(
    event,
    'attribute_invalid',
    'must be an RFC 3339 date-time, or seconds or milliseconds since 1970',
    fragment(place.pointer),
  );
  return null;
}

/** Fills the Kafka key from the source's pointer. Missing, null or empty: no key. */
export function fillKey(event: DecodedEvent, context: DecodeContext): void {
  const place = context.source.key;
  if (place === null || event.json === undefined) return;
  const part = scalarAt(event, place);
  if (part === 'missing') return;
  if (part === 'not_scalar') {
    refuse(
      event,
      'key_invalid',
      'must be a string, number or boolean to be the partition key',
      fragment(place.pointer),
    );
    return;
  }
  if (part.text === '') return;
  const bad = unusable(part.text, context.limits.key);
  if (bad === null) event.key = part.text;
  else refuse(event, 'key_invalid', bad, fragment(place.pointer));
}
