import type { ErrorCode } from './errors.ts';

/** One reason why an event was refused: where (JSON Pointer fragment such as `#/ts`, RFC 6901 section 6) and why. */
export interface EventError {
  code: ErrorCode;
  pointer?: string;
  detail: string;
}

/** What became of one event. There is exactly one for each event received. */
export type Verdict = 'accepted' | 'duplicate' | 'rejected' | 'retry';

/** CloudEvents context attributes by name (id, source, type, specversion and so on), as text. */
export type Attributes = Record<string, string>;

/** One event out of a request body, before validation. */
export interface DecodedEvent {
  /** Position in the request (for NDJSON: the line's number, from 0). */
  index: number;
  /** The bytes that the client sent for this event; null for an event without data. */
  data: Uint8Array | null;
  /** The parsed data when it is JSON, else undefined. */
  json: unknown;
  attributes: Attributes;
  contentType: string | null;
  /** What makes the event the same as another: source, CloudEvents source and id, with their types. */
  identity: string;
  /** The Kafka key. */
  key: string | null;
  /** Why it is refused already; empty when it may go on. */
  errors: EventError[];
}
