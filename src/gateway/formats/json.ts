import { EVENT_COST, VALUE_COST } from '../../config/gateway/limits.ts';
import { type ErrorCode, RequestError } from '../../core/errors.ts';
import type { DecodedEvent } from '../../core/event.ts';
import { parseJson } from '../../json/parse.ts';
import { eachElement, ScanError, type Span, skipSpace, textOf, valueSpan } from '../../json/scan.ts';
import { fillPlain } from './fields.ts';
import { type DecodeContext, type Decoding, emptyEvent, refuse } from './source.ts';

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
  if (bytes[start] === 0x5b) return decodeArray(bytes, start, context, plainElement);
  const event = emptyEvent(0, context, bytes);
  if (sizeFits(event, bytes.length, context) && shapeFits(event, spanOrThrow(bytes, start), context)) {
    event.json = parseBody(bytes, 0, bytes.length);
    fillObject(event, context, true);
  }
  return [event];
}

/** Cuts an array body; `fill` completes each element that was parsed. All is cut before the first is parsed. */
export function decodeArray(
  bytes: Uint8Array,
  start: number,
  context: DecodeContext,
  fill: (event: DecodedEvent, context: DecodeContext) => void,
): Iterable<DecodedEvent> {
  return elements(bytes, cutArray(bytes, start, context), context, fill);
}

/** The elements of the array that the bytes are. Throws RequestError when it is malformed or has too many. */
export function cutArray(bytes: Uint8Array, start: number, context: DecodeContext): Span[] {
  const spans: Span[] = [];
  const limit = context.limits.batch;
  let values = 0;
  try {
    eachElement(bytes, start, (span) => {
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

/** An event for each span, one by one; `fill` completes those that were parsed. */
export function* elements(
  bytes: Uint8Array,
  spans: Span[],
  context: DecodeContext,
  fill: (event: DecodedEvent, context: DecodeContext) => void,
): Iterable<DecodedEvent> {
  const text = bytes.length > MAX_TEXT ? null : asciiText(bytes);
  if (text !== null) context.grow(text.length);
  for (const [index, span] of spans.entries()) {
    const event = emptyEvent(index, context, bytes.subarray(span.start, span.end));
    // An element over a cap is not parsed: refusing it must cost little.
    if (sizeFits(event, span.end - span.start, context) && shapeFits(event, span, context)) {
      event.json =
        text === null
          ? parseBody(bytes, span.start, span.end)
          : parseText(bytes, text.slice(span.start, span.end));
      fill(event, context);
    }
    yield event;
  }
}

function plainElement(event: DecodedEvent, context: DecodeContext): void {
  fillObject(event, context, false);
}

/** Blank lines after which others may have a turn. */
const BLANK = 1024;
/** What is wrong with a line alone. */
const BAD_LINE = new Set<ErrorCode>(['not_json', 'not_utf8']);

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
      yield decodeLine(bytes.subarray(start, stop), index++, line, context);
    } else if (line % BLANK === 0) yield null;
    start = end + 1;
  }
  if (index === 0) throw new RequestError('empty_body', 'send at least one line of JSON');
}

function decodeLine(bytes: Uint8Array, index: number, line: number, context: DecodeContext): DecodedEvent {
  const event = emptyEvent(index, context, bytes);
  event.line = line;
  context.grow(EVENT_COST);
  if (!sizeFits(event, bytes.length, context)) return event;
  try {
    const span = spanOrThrow(bytes, skipSpace(bytes, 0, bytes.length));
    context.grow(span.values * VALUE_COST);
    if (!shapeFits(event, span, context)) return event;
    event.json = parseBody(bytes, 0, bytes.length);
  } catch (error) {
    if (!(error instanceof RequestError) || !BAD_LINE.has(error.code)) throw error;
    refuse(event, error.code, `line ${line}: ${error.message}`);
    return event;
  }
  fillObject(event, context, false);
  return event;
}

export function fillObject(event: DecodedEvent, context: DecodeContext, only: boolean): void {
  if (typeof event.json !== 'object' || event.json === null || Array.isArray(event.json)) {
    refuse(event, 'not_an_object', 'an event must be a JSON object', '#');
    return;
  }
  fillPlain(event, context, only);
}

export function sizeFits(event: DecodedEvent, size: number, context: DecodeContext): boolean {
  if (size <= context.limits.event) return true;
  refuse(event, 'event_too_large', `event has ${size} bytes; the limit is ${context.limits.event}`);
  return false;
}

/** Whether the event's nesting and its number of values are within the limits; else it is refused. */
export function shapeFits(event: DecodedEvent, { depth, values }: Span, { limits }: DecodeContext): boolean {
  if (depth > limits.depth)
    refuse(event, 'too_deep', `event nests ${depth} levels deep; the limit is ${limits.depth}`);
  else if (values > limits.values)
    refuse(event, 'too_many_values', `event has ${values} values; the limit is ${limits.values}`);
  else return true;
  return false;
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

/** All of the text when each byte of it is a character, as in most bodies; else null. */
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
    // V8's message quotes the text around the mistake: payload has no place in errors that may be logged.
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
