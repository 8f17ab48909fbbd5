import { ATTRIBUTE_BYTES, type ReadRules } from '../../cloudevents/attributes.ts';
import { isJsonType } from '../../cloudevents/content-type.ts';
import { type ReceivedEvent, readBinary, readStructured } from '../../cloudevents/read.ts';
import { RequestError } from '../../core/errors.ts';
import { type DecodedEvent, type EventError, eventError } from '../../core/event.ts';
import { unusable } from '../../core/header-text.ts';
import { isObject } from '../../json/parse.ts';
import { skipSpace } from '../../json/scan.ts';
import {
  errorsIn,
  type Field,
  fieldText,
  identityOf,
  type ParsedEvent,
  refusedEvent,
  sizeFault,
} from './event.ts';
import { keyOf, usableKey } from './fields.ts';
import { cutArray, decodeElements, parseWhole } from './json.ts';
import type { DecodeContext } from './source.ts';

/** Bytes that an attribute takes beside its text, for as long as the request lasts. */
const ATTRIBUTE_COST = 64;
const NOT_AN_OBJECT = eventError('bad_cloudevent', 'a CloudEvent must be a JSON object', '#');

/** Binary mode (CloudEvents HTTP binding 3.1): attributes in `ce-` headers, the body is the data. */
export function decodeBinary(
  bytes: Uint8Array,
  contentType: string | null,
  headers: Iterable<[string, string]>,
  context: DecodeContext,
): DecodedEvent[] {
  const received = readBinary(headers, contentType, bytes, rulesOf(context));
  const first = { index: 0, line: null };
  return [cloudEvent(first, received, sizeFault(bytes.length, context), context)];
}

/** Structured mode (3.2): the body is one event in the JSON format; some senders label a batch as one, too. */
export function decodeStructured(bytes: Uint8Array, context: DecodeContext): Iterable<DecodedEvent> {
  const start = skipSpace(bytes, 0, bytes.length);
  if (start === bytes.length) throw new RequestError('empty_body', 'send a CloudEvent');
  if (bytes[start] === 0x5b) return decodeBatch(bytes, context);
  return [structuredEvent(parseWhole(bytes, enveloped(context)), rulesOf(context), context)];
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
  const spans = cutArray(bytes, start, context);
  const rules = rulesOf(context);
  return decodeElements(bytes, spans, enveloped(context), (parsed) =>
    structuredEvent(parsed, rules, context),
  );
}

/** The limits are those of the data: the envelope is one more level around it. */
function enveloped(context: DecodeContext): DecodeContext {
  return { ...context, limits: { ...context.limits, depth: context.limits.depth + 1 } };
}

function rulesOf({ limits, receivedAt, trace }: DecodeContext): ReadRules {
  const defaults = { ...trace, ce_time: receivedAt };
  return { id: limits.id, bytes: ATTRIBUTE_BYTES, contentType: limits.id, dropReserved: true, defaults };
}

/** The event that an envelope holds. */
function structuredEvent(parsed: ParsedEvent, rules: ReadRules, context: DecodeContext): DecodedEvent {
  const { bytes, json, fault } = parsed;
  if (fault !== null || !isObject(json))
    return refusedEvent(parsed, bytes, [fault ?? NOT_AN_OBJECT], context.trace);
  return cloudEvent(parsed, readStructured(bytes, json, rules), null, context);
}

/** `tooLarge`: an event over a limit, whose data is not parsed. */
function cloudEvent(
  { index, line }: Pick<ParsedEvent, 'index' | 'line'>,
  received: ReceivedEvent,
  tooLarge: EventError | null,
  context: DecodeContext,
): DecodedEvent {
  const { attributes, headers, data } = received;
  context.grow(Object.keys(attributes).length * ATTRIBUTE_COST);
  const { json, fault } =
    tooLarge === null ? jsonOf(received, context) : { json: undefined, fault: tooLarge };
  const key = cloudEventKey(attributes, data, json, context);
  const errors = [...received.errors, ...errorsIn(fault, key)];
  const { id } = attributes;
  const usableId = typeof id === 'string' && unusable(id, context.limits.id) === null ? id : '';
  const identity =
    errors.length > 0 ? '' : identityOf(context.source, attributes.source as string, `s${usableId}`);
  const found = { data, id: usableId, headers, identity, key: fieldText(key), payloadChecksum: null, errors };
  return { event: { index, line, ...found }, json, name: null };
}

/** The value of data that is JSON: it stood in the envelope, or is parsed here. */
function jsonOf({ data, json, headers }: ReceivedEvent, context: DecodeContext): ParsedData {
  const contentType = headers['content-type'];
  if (json !== undefined || data === null || contentType === undefined || !isJsonType(contentType))
    return { json, fault: null };
  return parseData(data, context);
}

/** The Kafka key: from the data, else the partitionkey extension. */
function cloudEventKey(
  { partitionkey }: ReceivedEvent['attributes'],
  bytes: Uint8Array | null,
  json: unknown,
  context: DecodeContext,
): Field {
  const key = bytes === null ? null : keyOf({ bytes, json }, context);
  if (key !== null || typeof partitionkey !== 'string' || partitionkey === '') return key;
  return usableKey(partitionkey, context.limits.key, '/partitionkey');
}

export type ParsedData = Pick<ParsedEvent, 'json' | 'fault'>;

/** Parses data that must be JSON, and checks its nesting and its number of values. */
export function parseData(data: Uint8Array, context: DecodeContext): ParsedData {
  try {
    return parseWhole(data, context);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return { json: undefined, fault: { code: error.code, detail: `data: ${error.message}` } };
  }
}
