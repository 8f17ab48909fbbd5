import { isEventTime } from '../../cloudevents/attributes.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { type DecodedEvent, type EventError, eventError, NO_ERRORS } from '../../core/event.ts';
import { unusable } from '../../core/header-text.ts';
import { NO_TRACE } from '../../core/trace-context.ts';
import { fragment, locate, type Pointer, resolvePointer } from '../../json/pointer.ts';
import { textOf } from '../../json/scan.ts';
import { errorsIn, type Field, fieldText, identityOf, isError, type ParsedEvent } from './event.ts';
import type { DecodeContext } from './source.ts';

/** JSON data, and its bytes. */
type Payload = Pick<ParsedEvent, 'bytes' | 'json'>;

/** A scalar of the payload as text; numbers as they were written, so that big or unusual ones stay apart. */
type Scalar = { kind: 's' | 'n' | 'b'; text: string } | 'missing' | 'not_scalar';

export function scalarAt({ json, bytes }: Payload, { tokens }: Pointer): Scalar {
  const value = resolvePointer(json, tokens);
  if (value === undefined || value === null) return 'missing';
  if (typeof value === 'string') return { kind: 's', text: value };
  if (typeof value === 'boolean') return { kind: 'b', text: String(value) };
  if (typeof value !== 'number') return 'not_scalar';
  const { start, end } = locate(bytes, tokens)!;
  return { kind: 'n', text: textOf(bytes, start, end) };
}

/** A plain JSON event: id, type, time, subject and key are where its source says. */
export function plainEvent(parsed: ParsedEvent, context: DecodeContext): DecodedEvent {
  const { source, trace } = context;
  const { id, identity, error } = idOf(parsed, context);
  const type =
    typeof source.type === 'string' ? source.type : attributeAt(parsed, source.type, 'type', context);
  const time = source.time === null ? null : timeAt(parsed, source.time);
  const subject = source.subject === null ? null : attributeAt(parsed, source.subject, 'subject', context);
  const key = keyOf(parsed, context);
  // All at once: an object that grows name by name is made several times over.
  const headers: Record<string, string> = {
    ce_specversion: '1.0',
    ce_source: source.uri,
    ce_id: id,
    ce_type: fieldText(type) ?? '',
    ce_time: fieldText(time) ?? context.receivedAt,
    'content-type': 'application/json',
  };
  if (id === '') delete headers.ce_id;
  const isGood = error === null && !isError(type) && !isError(time) && !isError(subject) && !isError(key);
  const subjectText = fieldText(subject);
  if (subjectText !== null) headers.ce_subject = subjectText;
  const event = {
    index: parsed.index,
    line: parsed.line,
    data: parsed.bytes,
    id,
    headers: trace === NO_TRACE ? headers : { ...trace, ...headers },
    identity,
    key: fieldText(key),
    payloadChecksum: null,
    errors: isGood ? NO_ERRORS : errorsIn(error, type, time, subject, key),
  };
  return { event, json: parsed.json, name: null };
}

/** An id, and the identity text of the event; both are empty when there is an error. */
interface EventId {
  id: string;
  identity: string;
  error: EventError | null;
}

const noId = (code: ErrorCode, detail: string, pointer?: Pointer): EventId => ({
  id: '',
  identity: '',
  error: eventError(code, detail, pointer && fragment(pointer.text)),
});

function idOf(parsed: ParsedEvent, context: DecodeContext): EventId {
  const { source, idempotencyKey, digests } = context;
  if (idempotencyKey !== null) {
    const id = parsed.soleEvent ? idempotencyKey : `${idempotencyKey}/${parsed.index}`;
    return checkedId(id, `h${id}`, undefined, context);
  }
  if (source.id === 'content') {
    const id = digests.sha256(context.content ?? parsed.bytes);
    return checkedId(id, `c${id}`, undefined, context);
  }
  if (source.id !== null) return joinedId(parsed, source.id, context);
  return noId('id_missing', 'send an Idempotency-Key header, or give the source an id in the config');
}

/** `typed`: the id with its kind, so that ids of two kinds stay apart. */
function checkedId(id: string, typed: string, pointer: Pointer | undefined, context: DecodeContext): EventId {
  const { source, limits } = context;
  const bad = id === '' ? 'is empty' : unusable(id, limits.id);
  if (bad !== null) return noId('id_invalid', `id ${bad}`, pointer);
  return { id, identity: identityOf(source, source.uri, typed), error: null };
}

/** The id that the values at these pointers make; its typed form has kinds and lengths, so that no two lists are alike. */
function joinedId(parsed: ParsedEvent, pointers: readonly Pointer[], context: DecodeContext): EventId {
  const texts: string[] = [];
  let typed = '';
  for (const pointer of pointers) {
    const part = scalarAt(parsed, pointer);
    if (part === 'missing')
      return noId('id_missing', 'is missing; the source takes its id from here', pointer);
    if (part === 'not_scalar' || part.kind === 'b')
      return noId('id_invalid', 'must be a string or a number to be an id', pointer);
    const bad = unusable(part.text, context.limits.id);
    if (bad !== null) return noId('id_invalid', bad, pointer);
    texts.push(part.text);
    typed += `${part.kind}${part.text.length}:${part.text}`;
  }
  const id =
    texts.length === 1
      ? texts[0]!
      : texts.map((text) => text.replaceAll('%', '%25').replaceAll(':', '%3A')).join(':');
  return checkedId(id, typed, pointers[0], context);
}

/** A type must be there; a subject may be missing or empty. */
function attributeAt(
  parsed: Payload,
  pointer: Pointer,
  name: 'type' | 'subject',
  { limits }: DecodeContext,
): Field {
  const part = scalarAt(parsed, pointer);
  if (name === 'subject' && (part === 'missing' || (typeof part === 'object' && part.text === '')))
    return null;
  const bad =
    typeof part === 'string' || part.text === ''
      ? `must be a non-empty string; it is the event's ${name}`
      : unusable(part.text, limits.id);
  if (bad !== null) return eventError('attribute_invalid', bad, fragment(pointer.text));
  return typeof part === 'object' ? part.text : null;
}

/** RFC 3339 text is kept as it is; a number is seconds since 1970, or milliseconds from 1e11 on. Null: no time. */
export function timeText(value: unknown): string | null {
  if (typeof value === 'string' && isEventTime(value)) return value;
  if (typeof value !== 'number') return null;
  const ms = Math.abs(value) < 1e11 ? value * 1000 : value;
  return Math.abs(ms) < 253402300800000 && ms > -62135596800000 ? new Date(ms).toISOString() : null;
}

function timeAt({ json }: Payload, pointer: Pointer): Field {
  const value = resolvePointer(json, pointer.tokens);
  if (value === undefined || value === null) return null;
  const text = timeText(value);
  if (text !== null) return text;
  const detail = 'must be an RFC 3339 date-time, or seconds or milliseconds since 1970';
  return eventError('attribute_invalid', detail, fragment(pointer.text));
}

/** The Kafka key, from the source's pointer. Missing, null or empty: no key. */
export function keyOf(payload: Payload, { source, limits }: DecodeContext): Field {
  const pointer = source.key;
  if (pointer === null || payload.json === undefined) return null;
  const part = scalarAt(payload, pointer);
  if (part === 'missing') return null;
  if (part === 'not_scalar') {
    const detail = 'must be a string, number or boolean to be the partition key';
    return eventError('key_invalid', detail, fragment(pointer.text));
  }
  return part.text === '' ? null : usableKey(part.text, limits.key, pointer.text);
}

/** A text as Kafka key; `pointer` is its place in the event. */
export function usableKey(text: string, limit: number, pointer: string): Field {
  const bad = unusable(text, limit);
  return bad === null ? text : eventError('key_invalid', bad, fragment(pointer));
}
