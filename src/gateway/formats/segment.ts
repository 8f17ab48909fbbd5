import { isEventTime } from '../../cloudevents/attributes.ts';
import type { DecodedEvent } from '../../core/event.ts';
import { unusable } from '../../core/header-text.ts';
import { isObject, type Lender, Splice } from '../../json/splice.ts';
import { fillKey, scalarAt } from './fields.ts';
import { type DecodeContext, identityOf, type Place, refuse } from './source.ts';

/** The kinds of calls of the Segment spec. */
export const CALLS = ['identify', 'track', 'page', 'screen', 'group', 'alias'] as const;
export type Call = (typeof CALLS)[number];

/** What a batch says for all its items. */
export interface Envelope {
  context: Lender | null;
  integrations: Lender | null;
  /** Milliseconds since 1970. */
  sentAt: number | null;
  /** Levels that `context` and `integrations` nest deep. */
  depth: number;
}

export const NO_ENVELOPE: Envelope = { context: null, integrations: null, sentAt: null, depth: 0 };

/** The member that may hold the key which lets a client in; it never becomes data. */
export const WRITE_KEY = 'writeKey';

const place = (name: string): Place => ({ pointer: `/${name}`, tokens: [name] });
const USER = place('userId');
const ANONYMOUS = place('anonymousId');
const PREVIOUS = place('previousId');
const GROUP = place('groupId');

/**
 * Completes an event whose data is one item of the Segment spec. `call`: the kind that the path names, null
 * for an item of a batch. `made`: the id of an item that has none.
 */
export function fillSegment(
  event: DecodedEvent,
  context: DecodeContext,
  { call, envelope, made }: { call: Call | null; envelope: Envelope; made: string },
): void {
  const { json } = event;
  if (!isObject(json)) {
    refuse(event, 'not_an_object', 'an item must be a JSON object', '#');
    return;
  }
  const sent = event.data!;
  const draft = new Splice(sent, json);
  draft.drop(WRITE_KEY);
  const kind = kindOf(event, json.type, call, context);
  const subject = checkItem(event, kind, context);
  const id = messageIdOf(event, json, context, made);
  const time = correctTimes(draft, envelope.sentAt, context.receivedAt);
  if (json.type !== kind && kind !== null) draft.set('type', kind);
  if (json.messageId !== id && id !== '') draft.set('messageId', id);
  if (envelope.context !== null) draft.lend('context', envelope.context);
  if (envelope.integrations !== null) draft.lend('integrations', envelope.integrations);
  event.data = draft.bytes();
  event.print = context.digests.checksum(sent);
  event.id = id;
  event.headers = {
    ...context.trace,
    ce_specversion: '1.0',
    ce_source: context.source.uri,
    ce_type: `segment.${kind ?? 'unknown'}`,
    ce_time: time,
    'content-type': 'application/json',
  };
  if (id !== '') {
    event.headers.ce_id = id;
    event.identity = identityOf(context.source, context.source.uri, `s${id}`);
  }
  if (kind === 'track' && typeof json.event === 'string') event.name = json.event;
  checkGrown(event, envelope, context);
  if (subject !== null) fillSubject(event, context, subject);
  if (context.source.key !== null) fillKey(event, context);
}

function kindOf(
  event: DecodedEvent,
  type: unknown,
  path: Call | null,
  { source }: DecodeContext,
): Call | null {
  if (path !== null && (type === path || source.config.verify === null)) return path;
  if (path !== null) {
    refuse(event, 'bad_segment', `must be ${path} in the signed body, as the path is not signed`, '#/type');
    return null;
  }
  const call = CALLS.find((one) => one === type);
  if (call !== undefined) return call;
  refuse(event, 'bad_segment', `must be one of ${CALLS.join(', ')}`, '#/type');
  return null;
}

/** Checks what a kind must have; returns the event's subject. */
function checkItem(event: DecodedEvent, kind: Call | null, context: DecodeContext): Subject | null {
  const user = idAt(event, USER);
  const anonymous = idAt(event, ANONYMOUS);
  const missing = (name: string, why: string) =>
    refuse(event, 'bad_segment', `is missing; ${why}`, `#/${name}`);
  if (kind === 'alias') {
    if (user === null) missing('userId', 'alias needs userId and previousId');
    if (idAt(event, PREVIOUS) === null) missing('previousId', 'alias needs userId and previousId');
  } else if (user === null && anonymous === null) {
    missing('userId', 'one of userId and anonymousId is needed');
  }
  if (kind === 'group' && idAt(event, GROUP) === null) missing('groupId', 'group needs it');
  const name = (event.json as { event?: unknown }).event;
  if (kind === 'track' && (typeof name !== 'string' || name === ''))
    refuse(event, 'bad_segment', 'must be a non-empty string; track needs it', '#/event');
  const found = user === null ? { text: anonymous, at: ANONYMOUS } : { text: user, at: USER };
  if (found.text === null) return null;
  const bad = unusable(found.text, context.limits.id);
  if (bad === null) return { text: found.text, pointer: `#${found.at.pointer}` };
  refuse(event, 'attribute_invalid', bad, `#${found.at.pointer}`);
  return null;
}

interface Subject {
  text: string;
  pointer: string;
}

/** The id of somebody or something, numbers as written; null when there is none. */
function idAt(event: DecodedEvent, at: Place): string | null {
  const id = scalarAt(event, at);
  if (id === 'missing') return null;
  if (id !== 'not_scalar' && id.kind !== 'b') return id.text === '' ? null : id.text;
  refuse(event, 'bad_segment', 'must be a string or a number', `#${at.pointer}`);
  return null;
}

/** The id of the item; '' when it has one that cannot be used. */
function messageIdOf(
  event: DecodedEvent,
  { messageId }: Record<string, unknown>,
  context: DecodeContext,
  made: string,
): string {
  if (messageId === undefined || messageId === null || messageId === '') return made;
  const bad = typeof messageId === 'string' ? unusable(messageId, context.limits.id) : 'must be a string';
  if (bad === null) return messageId as string;
  refuse(event, 'id_invalid', bad, '#/messageId');
  return '';
}

/**
 * Sets receivedAt, and timestamp to the time by our clock: receivedAt - (sentAt - originalTimestamp). What was
 * sent as timestamp becomes originalTimestamp. Returns the timestamp.
 */
function correctTimes(draft: Splice, batchSentAt: number | null, receivedAt: string): string {
  const { timestamp, originalTimestamp, sentAt } = draft.json;
  const original = millis(originalTimestamp) ?? millis(timestamp);
  const sent = millis(sentAt) ?? batchSentAt;
  let time = receivedAt;
  if (original !== null && sent !== null) time = textAt(Date.parse(receivedAt) - (sent - original)) ?? time;
  else if (original !== null)
    time = (millis(originalTimestamp) === null ? timestamp : originalTimestamp) as string;
  const moved = sent !== null || time !== timestamp;
  const isSent = timestamp !== undefined && timestamp !== null;
  if (isSent && moved && (originalTimestamp ?? null) === null) {
    // A number may be one that no double holds.
    if (typeof timestamp === 'string') draft.set('originalTimestamp', timestamp);
    else draft.set('originalTimestamp', timestamp, draft.sent('timestamp')!);
  }

  if (time !== timestamp) draft.set('timestamp', time);
  draft.set('receivedAt', receivedAt);
  return time;
}

/** Milliseconds since 1970 of an RFC 3339 date-time; null for all else. */
export function millis(value: unknown): number | null {
  if (typeof value !== 'string' || !isEventTime(value)) return null;
  const time = Date.parse(value);
  return Number.isNaN(time) ? null : time;
}

const YEAR_0 = Date.parse('0000-01-01T00:00:00Z');
const YEAR_10000 = 253_402_300_800_000;

function textAt(ms: number): string | null {
  return ms >= YEAR_0 && ms < YEAR_10000 ? new Date(ms).toISOString() : null;
}

/** The caps hold for what is stored, with what the batch lent to the item. */
function checkGrown(event: DecodedEvent, envelope: Envelope, { limits }: DecodeContext): void {
  const size = event.data!.length;
  if (size > limits.event)
    refuse(event, 'event_too_large', `event has ${size} bytes as stored; the limit is ${limits.event}`);
  if (envelope.depth >= limits.depth)
    refuse(
      event,
      'too_deep',
      `what the batch lends it nests deeper than ${limits.depth} levels`,
      '#/context',
    );
}

/** The subject is the Kafka key too, unless the source says where that is: events of one user keep their order. */
function fillSubject(event: DecodedEvent, context: DecodeContext, { text, pointer }: Subject): void {
  event.headers.ce_subject = text;
  if (context.source.key !== null) return;
  const bad = unusable(text, context.limits.key);
  if (bad === null) event.key = text;
  else refuse(event, 'key_invalid', bad, pointer);
}
