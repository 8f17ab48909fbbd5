import { RequestError } from '../../core/errors.ts';
import type { DecodedEvent } from '../../core/event.ts';
import { type Span, skipSpace } from '../../json/scan.ts';
import { eachMember, isObject, type Lender, lenderOf, withoutMember } from '../../json/splice.ts';
import type { WriteKeys } from '../admission/write-keys.ts';
import type { Head } from '../body/head.ts';
import { checkCharset } from '../decode.ts';
import { decodeArray, parseBody, shapeFits, sizeFits, withoutMark } from '../formats/json.ts';
import { type Call, type Envelope, fillSegment, millis, NO_ENVELOPE, WRITE_KEY } from '../formats/segment.ts';
import { type DecodeContext, type Decoding, emptyEvent } from '../formats/source.ts';
import type { Outcome } from '../pipeline.ts';
import { type Reply, verdictReply } from '../reply.ts';
import type { Input, Protocol, Reading } from './protocol.ts';

/** `POST /v1/{call}` of the Segment spec; with null for the call `POST /v1/batch`. */
export function segmentProtocol(keys: WriteKeys, call: Call | null): Protocol {
  return {
    sourceOf: (head) => keys.sourceOf(head),
    inspect(head) {
      // SDKs send JSON under many types, such as text/plain or the one of forms: only the charset counts.
      checkCharset(head.header('content-type') ?? '');
    },
    read: (input) => read(input, keys, call),
    reply: segmentReply,
  };
}

function read(input: Input, keys: WriteKeys, call: Call | null): Reading {
  const bytes = withoutMark(input.body);
  const { whole, members } = wholeObject(bytes);
  const key = members.get('writeKey');
  const admission =
    input.admission ?? keys.admit(key === undefined ? undefined : parseBody(bytes, key.start, key.end));
  const context = input.context(admission.guarded.source);
  if (call === null) return { admission, events: readBatch(bytes, members, context) };
  const item = bytes.subarray(whole.start, whole.end);
  return { admission, events: [readItem(item, whole, call, context)] };
}

/** The calls of a body, whatever its path: a batch, or one call that has its own `type`. */
export function readCalls(body: Uint8Array, context: DecodeContext): Decoding {
  const bytes = withoutMark(body);
  const { whole, members } = wholeObject(bytes);
  if (members.has('batch')) return readBatch(bytes, members, context);
  return [readItem(bytes.subarray(whole.start, whole.end), whole, null, context)];
}

/** One item that is not part of a batch; `bytes` hold nothing else, and `shape` is theirs. */
export function readItem(
  bytes: Uint8Array,
  shape: Span,
  call: Call | null,
  context: DecodeContext,
): DecodedEvent {
  const event = emptyEvent(0, context, bytes);
  if (!sizeFits(event, bytes.length, context)) return event;
  if (!shapeFits(event, shape, context)) return keyless(event);
  event.json = parseBody(bytes, 0, bytes.length);
  const made = context.idempotencyKey ?? freshId(event, context);
  fillSegment(event, context, { call, envelope: NO_ENVELOPE, made });
  return event;
}

const OBJECT = 0x7b;
const OBJECT_END = 0x7d;
const SPACE = new Set([0x20, 0x0a, 0x0d, 0x09]);

/** For an item without an id. A signed one that is sent again must not be a new event. */
function freshId(event: DecodedEvent, { source, digests }: DecodeContext): string {
  return source.config.verify === null ? crypto.randomUUID() : digests.sha256(event.data!);
}

/** What is kept as rejected without being read further has no key in it, either. */
function keyless(event: DecodedEvent): DecodedEvent {
  const bytes = event.data!;
  if (bytes[0] !== OBJECT) return event;
  try {
    event.data = withoutMember(bytes, WRITE_KEY);
  } catch {
    // It was not parsed: where its members are nobody can tell.
    event.data = null;
  }
  return event;
}

function* readBatch(bytes: Uint8Array, members: Map<string, Span>, context: DecodeContext): Decoding {
  const { limits, idempotencyKey } = context;
  const batch = members.get('batch');
  checkEnvelope(bytes, members, context);
  if (batch === undefined || bytes[batch.start] !== 0x5b)
    throw new RequestError('bad_segment', 'batch must be an array of items');
  const envelope = envelopeOf(bytes, members);
  let room = limits.decompressed - bytes.length;
  const items = decodeArray(bytes.subarray(0, batch.end), batch.start, context, (event) => {
    const sent = event.data!.length;
    const made = idempotencyKey === null ? freshId(event, context) : `${idempotencyKey}/${event.index}`;
    fillSegment(event, context, { call: null, envelope, made });
    const stored = event.data!.length;
    // A large context times many items is a lot more than the body.
    room -= stored - sent;
    if (room < 0) {
      const detail = `body has more than ${limits.decompressed} bytes once its context is in each item`;
      throw new RequestError('body_too_large', detail);
    }
    context.grow(stored);
  });
  for (const event of items) {
    const code = event?.errors[0]?.code;
    yield code === 'too_deep' || code === 'too_many_values' ? keyless(event!) : event;
  }
}

/** What stands beside the items must be JSON too, used or not, and fit into an event. */
function checkEnvelope(bytes: Uint8Array, members: Map<string, Span>, { limits }: DecodeContext): void {
  let size = 0;
  for (const [name, { start, end, depth, values }] of members) {
    if (name === 'batch') continue;
    if (depth > limits.depth) throw new RequestError('too_deep', `more than ${limits.depth} levels deep`);
    if (values > limits.values)
      throw new RequestError('too_many_values', `${name.slice(0, 64)} has more than ${limits.values} values`);
    size += end - start;
    if (size > limits.event) {
      const detail = `what stands beside the batch has more than ${limits.event} bytes`;
      throw new RequestError('event_too_large', detail);
    }
    parseBody(bytes, start, end);
  }
}

function envelopeOf(bytes: Uint8Array, members: Map<string, Span>): Envelope {
  const lender = (name: string): Lender | null => {
    const span = members.get(name);
    if (span === undefined) return null;
    const json = parseBody(bytes, span.start, span.end);
    return isObject(json) ? lenderOf(bytes.subarray(span.start, span.end), json) : null;
  };
  const sentAt = members.get('sentAt');
  return {
    context: lender('context'),
    integrations: lender('integrations'),
    sentAt: sentAt === undefined ? null : millis(parseBody(bytes, sentAt.start, sentAt.end)),
    depth: Math.max(members.get('context')?.depth ?? 0, members.get('integrations')?.depth ?? 0),
  };
}

/** Bytes of a body that is parsed only to say what is wrong with it. */
const MAX_EXPLAINED = 64 * 1024;
/** Members that the body's own object may have: before the key is known no more is looked at. */
const MAX_MEMBERS = 1000;

/** The object that a body is, and its members. Throws RequestError when it is something else or cut short. */
function wholeObject(bytes: Uint8Array): { whole: Span; members: Map<string, Span> } {
  const start = skipSpace(bytes, 0, bytes.length);
  if (start === bytes.length) throw new RequestError('empty_body', 'send a JSON object');
  let end = bytes.length;
  while (SPACE.has(bytes[end - 1]!)) end--;
  try {
    if (bytes[start] === OBJECT && bytes[end - 1] === OBJECT_END) return membersOf(bytes, start, end);
  } catch (error) {
    if (error instanceof RequestError) throw error;
    if (bytes.length > MAX_EXPLAINED) throw new RequestError('not_json', 'the body is not valid JSON');
  }
  // JSON.parse says better what is wrong.
  if (bytes.length <= MAX_EXPLAINED) parseBody(bytes, 0, bytes.length);
  throw new RequestError('bad_segment', 'the body must be a JSON object');
}

/** One look at the bytes: they may be many, and nobody is let in yet. */
function membersOf(bytes: Uint8Array, start: number, end: number) {
  const members = new Map<string, Span>();
  let [count, depth, values] = [0, 0, 1];
  for (const { name, value } of eachMember(bytes, { start, end })) {
    if (++count > MAX_MEMBERS)
      throw new RequestError('bad_segment', `the body has more than ${MAX_MEMBERS} members`);
    members.set(name, value);
    depth = Math.max(depth, value.depth);
    values += value.values;
  }
  return { whole: { start, end, depth: depth + 1, values }, members };
}

const SUCCESS: Reply = {
  status: 200,
  body: '{"success":true}',
  headers: { 'content-type': 'application/json' },
};

/**
 * What SDKs expect: they drop a whole batch for one 4xx, so `success` says that each event is stored, that its id was
 * stored before, or that it is kept as rejected. Those who prefer the representation (RFC 7240 4.2) get a verdict per event.
 */
export function segmentReply({ counts, events, refused }: Outcome, head: Head): Reply {
  const told = /\breturn=representation\b/.test(head.header('prefer') ?? '');
  if (!told && counts.retry === 0 && refused !== true) return SUCCESS;
  const full = verdictReply(counts, events);
  if (!told) return full;
  const headers = { ...full.headers, 'preference-applied': 'return=representation' };
  return { ...full, status: full.status === 202 ? 200 : full.status, headers };
}
