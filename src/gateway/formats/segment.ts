import { type DecodedEvent, type EventError, eventError } from '../../core/event.ts';
import { unusable } from '../../core/header-text.ts';
import { type FieldDefaults, JsonMerge, withoutMember } from '../../json/merge.ts';
import { isObject } from '../../json/parse.ts';
import { makePointer, type Pointer } from '../../json/pointer.ts';
import {
  errorsIn,
  type Field,
  fieldText,
  identityOf,
  isError,
  type ParsedEvent,
  refusedEvent,
} from './event.ts';
import { keyOf, scalarAt, usableKey } from './fields.ts';
import { correctTimes } from './segment-time.ts';
import type { DecodeContext } from './source.ts';

/** The kinds of calls of the Segment spec. */
export const CALLS = ['identify', 'track', 'page', 'screen', 'group', 'alias'] as const;
export type Call = (typeof CALLS)[number];

/** The members of a batch that count for all its items. */
export interface Envelope {
  context: FieldDefaults | null;
  integrations: FieldDefaults | null;
  /** Milliseconds since 1970. */
  sentAt: number | null;
  /** Levels that `context` and `integrations` nest deep. */
  depth: number;
}

export const NO_ENVELOPE: Envelope = { context: null, integrations: null, sentAt: null, depth: 0 };

/** The member that may hold the key which lets a client in; it never becomes data. */
const WRITE_KEY = 'writeKey';

const USER = makePointer('/userId');
const ANONYMOUS = makePointer('/anonymousId');
const PREVIOUS = makePointer('/previousId');
const GROUP = makePointer('/groupId');

const NOT_AN_OBJECT = eventError('not_an_object', 'an item must be a JSON object', '#');

type Item = Pick<ParsedEvent, 'bytes'> & { json: Record<string, unknown> };

/** The event that one item of the Segment spec is. `path`: the call that the path names, null for an item of a batch. */
export function segmentEvent(
  parsed: ParsedEvent,
  path: Call | null,
  envelope: Envelope,
  context: DecodeContext,
): DecodedEvent {
  const { index, line, bytes, json, fault } = parsed;
  if (fault !== null) return refusedEvent(parsed, keptBytes(bytes, fault), [fault], context.trace);
  if (!isObject(json)) return refusedEvent(parsed, bytes, [NOT_AN_OBJECT], context.trace);
  const { source, limits, digests, trace } = context;
  const draft = new JsonMerge(bytes, json);
  draft.drop(WRITE_KEY);
  const kind = kindOf(json.type, path, context);
  const call = isError(kind) ? null : kind;
  const { subject, errors } = checkItem({ bytes, json }, call, context);
  const messageId = messageIdOf(json, parsed, context);
  const id = fieldText(messageId) ?? '';
  const time = correctTimes(draft, envelope.sentAt, context.receivedAt);
  if (json.type !== call && call !== null) draft.set('type', call);
  if (json.messageId !== id && id !== '') draft.set('messageId', id);
  if (envelope.context !== null) draft.addDefaults('context', envelope.context);
  if (envelope.integrations !== null) draft.addDefaults('integrations', envelope.integrations);
  const data = draft.bytes();
  // The subject is the key, too, unless the source says where the key is: events of one user keep their order.
  const subjectKey = subject === null ? null : usableKey(subject.text, limits.key, subject.pointer);
  const key = source.key === null ? subjectKey : keyOf({ bytes: data, json }, context);
  const event = {
    index,
    line,
    data,
    id,
    headers: {
      ...trace,
      ce_specversion: '1.0',
      ce_source: source.uri,
      ce_type: `segment.${call ?? 'unknown'}`,
      ce_time: time,
      'content-type': 'application/json',
      ...(id === '' ? {} : { ce_id: id }),
      ...(subject === null ? {} : { ce_subject: subject.text }),
    },
    identity: id === '' ? '' : identityOf(source, source.uri, `s${id}`),
    key: fieldText(key),
    payloadChecksum: digests.checksum(bytes),
    errors: [
      ...errorsIn(kind),
      ...errors,
      ...errorsIn(messageId),
      ...grownFaults(data.length, envelope, context),
      ...errorsIn(key),
    ],
  };
  return { event, json, name: call === 'track' && typeof json.event === 'string' ? json.event : null };
}

/** The bytes to keep of an item that is refused unread: without the key in them. */
function keptBytes(bytes: Uint8Array, { code }: EventError): Uint8Array | null {
  if (code === 'event_too_large' || bytes[0] !== 0x7b) return bytes;
  try {
    return withoutMember(bytes, WRITE_KEY);
  } catch {
    // It is no JSON, so nobody can tell where its members are.
    return null;
  }
}

function kindOf(type: unknown, path: Call | null, { source }: DecodeContext): Call | EventError {
  if (path !== null && (type === path || source.config.verify === null)) return path;
  if (path !== null)
    return eventError(
      'bad_segment',
      `must be ${path} in the signed body, as the path is not signed`,
      '#/type',
    );
  const call = CALLS.find((one) => one === type);
  return call ?? eventError('bad_segment', `must be one of ${CALLS.join(', ')}`, '#/type');
}

interface Subject {
  text: string;
  /** JSON Pointer. */
  pointer: string;
}

/** Checks that an item has what its call needs; finds the event's subject. */
function checkItem(
  item: Item,
  call: Call | null,
  { limits }: DecodeContext,
): { subject: Subject | null; errors: EventError[] } {
  const user = idAt(item, USER);
  const anonymous = idAt(item, ANONYMOUS);
  const errors = [...errorsIn(user, anonymous)];
  const missing = (name: string, why: string) =>
    errors.push(eventError('bad_segment', `is missing; ${why}`, `#/${name}`));
  if (call === 'alias') {
    const previous = idAt(item, PREVIOUS);
    if (fieldText(user) === null) missing('userId', 'alias needs userId and previousId');
    errors.push(...errorsIn(previous));
    if (fieldText(previous) === null) missing('previousId', 'alias needs userId and previousId');
  } else if (fieldText(user) === null && fieldText(anonymous) === null) {
    missing('userId', 'one of userId and anonymousId is needed');
  }
  if (call === 'group') {
    const group = idAt(item, GROUP);
    errors.push(...errorsIn(group));
    if (fieldText(group) === null) missing('groupId', 'group needs it');
  }
  const { event } = item.json;
  if (call === 'track' && (typeof event !== 'string' || event === ''))
    errors.push(eventError('bad_segment', 'must be a non-empty string; track needs it', '#/event'));
  const text = fieldText(user) ?? fieldText(anonymous);
  if (text === null) return { subject: null, errors };
  const { text: pointer } = fieldText(user) === null ? ANONYMOUS : USER;
  const bad = unusable(text, limits.id);
  if (bad === null) return { subject: { text, pointer }, errors };
  errors.push(eventError('attribute_invalid', bad, `#${pointer}`));
  return { subject: null, errors };
}

/** The id of somebody or something, numbers as written; null when there is none. */
function idAt(item: Item, pointer: Pointer): Field {
  const id = scalarAt(item, pointer);
  if (id === 'missing') return null;
  if (id !== 'not_scalar' && id.kind !== 'b') return id.text === '' ? null : id.text;
  return eventError('bad_segment', 'must be a string or a number', `#${pointer.text}`);
}

/** The item's own id, else one that is made for it. */
function messageIdOf(
  { messageId }: Record<string, unknown>,
  { index, soleEvent, bytes }: ParsedEvent,
  { idempotencyKey, limits, digests, source }: DecodeContext,
): Field {
  if (messageId !== undefined && messageId !== null && messageId !== '') {
    const bad = typeof messageId === 'string' ? unusable(messageId, limits.id) : 'must be a string';
    return bad === null ? (messageId as string) : eventError('id_invalid', bad, '#/messageId');
  }
  if (idempotencyKey !== null) return soleEvent ? idempotencyKey : `${idempotencyKey}/${index}`;
  // A signed item that is sent again must not be a new event.
  return source.config.verify === null ? crypto.randomUUID() : digests.sha256(bytes);
}

/** The limits hold for the stored item, too, which has the batch's defaults. */
function grownFaults(size: number, envelope: Envelope, { limits }: DecodeContext): readonly EventError[] {
  const large = `event has ${size} bytes as stored; the limit is ${limits.event}`;
  const deep = `the members that it gets from the batch nest deeper than ${limits.depth} levels`;
  return errorsIn(
    size > limits.event ? eventError('event_too_large', large) : null,
    envelope.depth >= limits.depth ? eventError('too_deep', deep, '#/context') : null,
  );
}
