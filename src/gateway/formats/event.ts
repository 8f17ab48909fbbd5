import { type DecodedEvent, type EventError, eventError, NO_ERRORS } from '../../core/event.ts';
import type { DecodeContext, Source } from './source.ts';

/** The bytes of one event, and their value: undefined when `fault` says why they were not parsed. */
export interface ParsedEvent {
  /** As in DecodedEvent. */
  index: number;
  line: number | null;
  /** Whether the request is this one event, and no list. */
  soleEvent: boolean;
  bytes: Uint8Array;
  json: unknown;
  fault: EventError | null;
}

/** A field of an event: its text, null when there is none, or the reason why it cannot be used. */
export type Field = string | null | EventError;

/** An event that is refused before its fields are read. */
export function refusedEvent(
  { index, line }: Pick<ParsedEvent, 'index' | 'line'>,
  data: Uint8Array | null,
  errors: readonly EventError[],
  headers: Readonly<Record<string, string>>,
): DecodedEvent {
  const found = { data, id: '', headers, identity: '', key: null, payloadChecksum: null, errors };
  return { event: { index, line, ...found }, json: undefined, name: null };
}

export function isError(field: Field): field is EventError {
  return typeof field === 'object' && field !== null;
}

/** The text of a field; null when it has none that can be used. */
export function fieldText(field: Field): string | null {
  return isError(field) ? null : field;
}

/** The errors among fields, in their order. */
export function errorsIn(...fields: Field[]): readonly EventError[] {
  let errors = NO_ERRORS;
  for (const field of fields) if (isError(field)) errors = [...errors, field];
  return errors;
}

/** The identity text: length-prefixed so that no two different triples give the same. */
export function identityOf(source: Source, uri: string, id: string): string {
  return `${source.name}\n${uri.length}:${uri}${id}`;
}

/** Why an event of so many bytes is too large; null when it is not. */
export function sizeFault(size: number, { limits }: DecodeContext): EventError | null {
  if (size <= limits.event) return null;
  return eventError('event_too_large', `event has ${size} bytes; the limit is ${limits.event}`);
}

/** Why an event of this nesting and this number of values is refused; null when both are within the limits. */
export function shapeFault(
  { depth, values }: { depth: number; values: number },
  { limits }: DecodeContext,
): EventError | null {
  if (depth > limits.depth)
    return eventError('too_deep', `event nests ${depth} levels deep; the limit is ${limits.depth}`);
  if (values > limits.values)
    return eventError('too_many_values', `event has ${values} values; the limit is ${limits.values}`);
  return null;
}
