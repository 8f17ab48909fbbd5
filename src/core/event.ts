import type { ErrorCode } from './errors.ts';

/** One reason why an event was refused: where (JSON Pointer fragment such as `#/ts`, RFC 6901 section 6) and why. */
export interface EventError {
  code: ErrorCode;
  pointer?: string;
  detail: string;
}

/** What became of one event. There is exactly one for each event received. */
export type Verdict = 'accepted' | 'duplicate' | 'rejected' | 'retry';

export function eventError(code: ErrorCode, detail: string, pointer?: string): EventError {
  return pointer === undefined ? { code, detail } : { code, pointer, detail };
}

/** The errors of an event that has none. */
export const NO_ERRORS: readonly EventError[] = [];

/** One event out of a request body, on its way to the log. */
export interface IncomingEvent {
  /** Position among the events of the request, from 0. */
  readonly index: number;
  /** For NDJSON: the line, from 1; else null. */
  readonly line: number | null;
  /** The bytes that the client sent for this event; null for an event without data. */
  readonly data: Uint8Array | null;
  /** Empty when it has none that can be used. */
  readonly id: string;
  /** The record's headers: `ce_*` attributes, `content-type`, trace context (CloudEvents Kafka binding 3.2). */
  readonly headers: Readonly<Record<string, string>>;
  /** Two events with one identity are the same event: source, CloudEvents source and id, length-prefixed. */
  readonly identity: string;
  /** The Kafka key. */
  readonly key: string | null;
  /** Checksum of the bytes that the client sent, where `data` was made from them; null: that of `data`. */
  readonly payloadChecksum: number | null;
  /** Why it is refused; empty when it may be stored. */
  readonly errors: readonly EventError[];
}

/** An event and its data as a value, which is let go once the schema is checked. */
export interface DecodedEvent {
  readonly event: IncomingEvent;
  /** Undefined when the data is not JSON. */
  readonly json: unknown;
  /** The event's own name, in formats that have one besides the type; a source may choose schemas by it. */
  readonly name: string | null;
}
