import { EVENT_COST, VALUE_COST } from '../../config/gateway/limits.ts';
import { type ErrorCode, RequestError } from '../../core/errors.ts';
import { type DecodedEvent, eventError } from '../../core/event.ts';
import { isObject, parseJson } from '../../json/parse.ts';
import { eachElement, ScanError, type Span, skipSpace, textOf, valueSpan } from '../../json/scan.ts';
import { type ParsedEvent, refusedEvent, shapeFault, sizeFault } from './event.ts';
import { plainEvent } from './fields.ts';
import type { DecodeContext, Decoding } from './source.ts';

/** Bytes of a body up to which its text is made as a whole: of a larger one there would be two for long. */
const MAX_TEXT = 1024 * 1024;

/** The body without a byte order mark. */
export function withoutMark(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** A body that is one JSON object or an array of them. Throws RequestError when it is no valid JSON. */
export function decodeJson(bytes: Uint8Array, context: DecodeContext): Iterable<DecodedEvent> {
  const start = skipSpace(bytes, 0, bytes.length);
  if (start === bytes.length)
    throw new RequestError('empty_body', 'send a JSON object, an array of objects, or a CloudEvent');
  if (bytes[start] === 0x5b)
    return decodeElements(bytes, cutArray(bytes, start, context), context, jsonEvent);
  return [jsonEvent(parseWhole(bytes, context), context)];
}

/** The one event that the bytes are, parsed unless it is over a limit. Throws RequestError `not_json` or `not_utf8`. */
export function parseWhole(bytes: Uint8Array, context: DecodeContext): ParsedEvent {
  const fault =
    sizeFault(bytes.length, context) ??
    shapeFault(spanOrThrow(bytes, skipSpace(bytes, 0, bytes.length)), context);
  const json = fault === null ? parseBody(bytes, 0, bytes.length) : undefined;
  return { index: 0, line: null, soleEvent: true, bytes, json, fault };
}

/** An event whose bytes are its data, a JSON object. */
export function jsonEvent(parsed: ParsedEvent, context: DecodeContext): DecodedEvent {
  const { json, fault } = parsed;
  if (fault === null && isObject(json)) return plainEvent(parsed, context);
  return refusedEvent(parsed, parsed.bytes, [fault ?? NOT_AN_OBJECT], context.trace);
}

const NOT_AN_OBJECT = eventError('not_an_object', 'an event must be a JSON object', '#');

/** The elements of the array that opens at `start`. Throws RequestError when it is malformed or has too many. */
export function cutArray(bytes: Uint8Array, start: number, context: DecodeContext): Span[] {
  const spans: Span[] = [];
  const limit = context.limits.batch;
  let values = 0;
  try {
    eachElement(bytes, start, bytes.length, (span) => {
      values += span.values;
      if (spans.push(span) > limit)
        throw new RequestError('batch_too_large', `more than ${limit} events in one request`);
    });
  } catch (error) {
    if (error instanceof ScanError) throw notJson(bytes, error.message);
    throw error;
  }
  context.grow(spans.length * EVENT_COST + values * VALUE_COST);
  return spans;
}

/** What `decode` makes of each span of the bytes, one by one, so that no more than one is parsed at a time. */
export function* decodeElements<T>(
  bytes: Uint8Array,
  spans: Span[],
  context: DecodeContext,
  decode: (parsed: ParsedEvent, context: DecodeContext) => T,
): Iterable<T> {
  const text = bytes.length > MAX_TEXT ? null : asciiText(bytes);
  if (text !== null) context.grow(text.length);
  const soleEvent = false;
  for (const [index, span] of spans.entries()) {
    const { start, end } = span;
    // An element over a limit is not parsed: to refuse it must cost little.
    const fault = sizeFault(end - start, context) ?? shapeFault(span, context);
    let json: unknown;
    if (fault === null)
      json = text === null ? parseBody(bytes, start, end) : parseText(bytes, text.slice(start, end));
    yield decode({ index, line: null, soleEvent, bytes: bytes.subarray(start, end), json, fault }, context);
  }
}

/** Blank lines after which others may have a turn. */
const BLANK = 1024;
/** Errors that concern one line and not the whole body. */
const LINE_ERRORS = new Set<ErrorCode>(['not_json', 'not_utf8']);

/** Newline-delimited JSON: one verdict per line, blank lines skipped. Never throws for a bad line. */
export function* decodeLines(bytes: Uint8Array, context: DecodeContext): Decoding {
  let index = 0;
  let line = 0;
  for (let start = 0; start < bytes.length; ) {
    let end = bytes.indexOf(0x0a, start);
    if (end < 0) end = bytes.length;
    line++;
    const stop = bytes[end - 1] === 0x0d && end > start ? end - 1 : end;
    if (skipSpace(bytes, start, stop) < stop) {
      if (index === context.limits.batch)
        throw new RequestError('batch_too_large', `more than ${context.limits.batch} events in one request`);
      context.grow(EVENT_COST);
      yield jsonEvent(parsedLine(bytes.subarray(start, stop), index++, line, context), context);
    } else if (line % BLANK === 0) yield null;
    start = end + 1;
  }
  if (index === 0) throw new RequestError('empty_body', 'send at least one line of JSON');
}

function parsedLine(bytes: Uint8Array, index: number, line: number, context: DecodeContext): ParsedEvent {
  let fault = sizeFault(bytes.length, context);
  let json: unknown;
  try {
    if (fault === null) {
      const span = spanOrThrow(bytes, skipSpace(bytes, 0, bytes.length));
      context.grow(span.values * VALUE_COST);
      fault = shapeFault(span, context);
    }
    if (fault === null) json = parseBody(bytes, 0, bytes.length);
  } catch (error) {
    if (!(error instanceof RequestError) || !LINE_ERRORS.has(error.code)) throw error;
    fault = { code: error.code, detail: `line ${line}: ${error.message}` };
  }
  return { index, line, soleEvent: false, bytes, json, fault };
}

function spanOrThrow(bytes: Uint8Array, start: number): Span {
  try {
    return valueSpan(bytes, start, bytes.length);
  } catch (error) {
    throw notJson(bytes, (error as ScanError).message);
  }
}

/** Parses a piece of the body. Throws RequestError `not_utf8` or `not_json`. */
export function parseBody(bytes: Uint8Array, start: number, end: number): unknown {
  let text: string;
  try {
    text = textOf(bytes, start, end);
  } catch {
    throw notJson(bytes, null);
  }
  return parseText(bytes, text);
}

/** All of the text when each byte is one character, as in most bodies; else null. */
function asciiText(bytes: Uint8Array): string | null {
  try {
    const text = textOf(bytes);
    return text.length === bytes.length ? text : null;
  } catch {
    return null;
  }
}

/** Parses the text of a piece of the body. Throws RequestError `not_json`. */
function parseText(bytes: Uint8Array, text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    // V8's message quotes the text around the mistake. Errors may be logged, and a payload must not be.
    throw notJson(
      bytes,
      (error as Error).message.replace(/,? ?(?:\.\.\.)?".*" is not valid JSON$/s, '').replace(/ in JSON/, ''),
    );
  }
}

function notJson(bytes: Uint8Array, reason: string | null): RequestError {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    return new RequestError(
      'not_json',
      'body looks like gzip, but the header Content-Encoding: gzip is missing',
    );
  }
  return reason === null
    ? new RequestError('not_utf8', 'body holds bytes that are not UTF-8')
    : new RequestError('not_json', reason);
}
