import { RequestError } from '../../core/errors.ts';
import type { DecodedEvent } from '../../core/event.ts';
import { type FieldDefaults, fieldDefaults } from '../../json/merge.ts';
import { isObject } from '../../json/parse.ts';
import { eachMember, nameText, type Span, skipSpace } from '../../json/scan.ts';
import type { WriteKeys } from '../admission/write-keys.ts';
import type { Head } from '../body/head.ts';
import { checkCharset } from '../decode.ts';
import { shapeFault, sizeFault } from '../formats/event.ts';
import { cutArray, decodeElements, parseBody, withoutMark } from '../formats/json.ts';
import { type Call, type Envelope, NO_ENVELOPE, segmentEvent } from '../formats/segment.ts';
import { millis } from '../formats/segment-time.ts';
import type { DecodeContext, Decoding } from '../formats/source.ts';
import type { Outcome } from '../outcome.ts';
import { type Reply, verdictReply } from '../reply.ts';
import type { DecodedBody, Protocol, ReceivedBody } from './protocol.ts';

/** `POST /v1/{call}` of the Segment spec; with null for the call `POST /v1/batch`. */
export function segmentProtocol(keys: WriteKeys, call: Call | null): Protocol {
  return {
    sourceOf: (head) => keys.sourceOf(head),
    open(head) {
      // SDKs send JSON under many types, such as text/plain or that of forms: only the charset counts.
      checkCharset(head.header('content-type') ?? '');
      return (received) => read(received, keys, call);
    },
    reply: segmentReply,
  };
}

function read(received: ReceivedBody, keys: WriteKeys, call: Call | null): DecodedBody {
  const bytes = withoutMark(received.body);
  const { whole, members } = wholeObject(bytes);
  const key = members.get('writeKey');
  const admission =
    received.admission ?? keys.admit(key === undefined ? undefined : parseBody(bytes, key.start, key.end));
  const context = received.context(admission.guarded.source);
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
  const fault = sizeFault(bytes.length, context) ?? shapeFault(shape, context);
  const json = fault === null ? parseBody(bytes, 0, bytes.length) : undefined;
  const parsed = { index: 0, line: null, soleEvent: true, bytes, json, fault };
  return segmentEvent(parsed, call, NO_ENVELOPE, context);
}

const OBJECT = 0x7b;
const OBJECT_END = 0x7d;
const SPACE = new Set([0x20, 0x0a, 0x0d, 0x09]);

function* readBatch(body: Uint8Array, members: Map<string, Span>, context: DecodeContext): Decoding {
  const { limits } = context;
  const batch = members.get('batch');
  checkEnvelope(body, members, context);
  if (batch === undefined || body[batch.start] !== 0x5b)
    throw new RequestError('bad_segment', 'batch must be an array of items');
  const envelope = envelopeOf(body, members);
  const bytes = body.subarray(0, batch.end);
  let room = limits.decompressed - body.length;
  yield* decodeElements(bytes, cutArray(bytes, batch.start, context), context, (parsed) => {
    const decoded = segmentEvent(parsed, null, envelope, context);
    if (parsed.fault !== null) return decoded;
    const stored = decoded.event.data!.length;
    // A large context times many items is a lot more than the body.
    room -= stored - parsed.bytes.length;
    if (room < 0) {
      const detail = `body has more than ${limits.decompressed} bytes once its context is in each item`;
      throw new RequestError('body_too_large', detail);
    }
    context.grow(stored);
    return decoded;
  });
}

/** The members beside the items must be JSON too, used or not, and fit into an event. */
function checkEnvelope(bytes: Uint8Array, members: Map<string, Span>, { limits }: DecodeContext): void {
  let size = 0;
  for (const [name, { start, end, depth, values }] of members) {
    if (name === 'batch') continue;
    if (depth > limits.depth) throw new RequestError('too_deep', `more than ${limits.depth} levels deep`);
    if (values > limits.values)
      throw new RequestError('too_many_values', `${name.slice(0, 64)} has more than ${limits.values} values`);
    size += end - start;
    if (size > limits.event) {
      const detail = `the members beside the batch have more than ${limits.event} bytes`;
      throw new RequestError('event_too_large', detail);
    }
    parseBody(bytes, start, end);
  }
}

function envelopeOf(bytes: Uint8Array, members: Map<string, Span>): Envelope {
  const defaults = (name: string): FieldDefaults | null => {
    const span = members.get(name);
    if (span === undefined) return null;
    const json = parseBody(bytes, span.start, span.end);
    return isObject(json) ? fieldDefaults(bytes.subarray(span.start, span.end), json) : null;
  };
  const sentAt = members.get('sentAt');
  return {
    context: defaults('context'),
    integrations: defaults('integrations'),
    sentAt: sentAt === undefined ? null : millis(parseBody(bytes, sentAt.start, sentAt.end)),
    depth: Math.max(members.get('context')?.depth ?? 0, members.get('integrations')?.depth ?? 0),
  };
}

/** Bytes of a body that is parsed only to say what is wrong with it. */
const MAX_EXPLAINED = 64 * 1024;
/** Members that the body's own object may have: the key is among them, and until it is known little work is done. */
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
  // JSON.parse has the better error.
  if (bytes.length <= MAX_EXPLAINED) parseBody(bytes, 0, bytes.length);
  throw new RequestError('bad_segment', 'the body must be a JSON object');
}

/** Reads the bytes once: they may be many, and the client is not let in yet. */
function membersOf(bytes: Uint8Array, start: number, end: number) {
  const members = new Map<string, Span>();
  let [count, depth, values] = [0, 0, 1];
  eachMember(bytes, { start, end }, (nameStart, nameEnd, value) => {
    if (++count > MAX_MEMBERS)
      throw new RequestError('bad_segment', `the body has more than ${MAX_MEMBERS} members`);
    members.set(nameText(bytes, nameStart, nameEnd), value);
    depth = Math.max(depth, value.depth);
    values += value.values;
  });
  return { whole: { start, end, depth: depth + 1, values }, members };
}

const SUCCESS: Reply = {
  status: 200,
  body: '{"success":true}',
  headers: { 'content-type': 'application/json' },
};

/**
 * SDKs drop a whole batch for one 4xx: so `success` means that each event is stored, that its id was stored before, or
 * that it is kept as rejected. A client that prefers the representation (RFC 7240 section 4.2) gets a verdict per event.
 */
export function segmentReply(outcome: Outcome, head: Head): Reply {
  const isWanted = /\breturn=representation\b/.test(head.header('prefer') ?? '');
  if (!isWanted && outcome.counts.retry === 0 && !outcome.refused) return SUCCESS;
  const full = verdictReply(outcome);
  if (!isWanted) return full;
  const headers = { ...full.headers, 'preference-applied': 'return=representation' };
  return { ...full, status: full.status === 202 ? 200 : full.status, headers };
}
