import type { ErrorCode } from './errors.ts';

/** One reason why an event was refused: where (JSON Pointer fragment such as `#/ts`, RFC 6901 section 6) and why. */
export interface EventError {
  code: ErrorCode;
  pointer?: string;
  detail: string;
}

/** What became of one event. There is exactly one for each event received. */
export type Verdict = 'accepted' | 'duplicate' | 'rejected' | 'retry';

/** One event out of a request body, on its way to the log. */
export interface DecodedEvent {
  /** Position among the events of the request, from 0. */
  index: number;
  /** For NDJSON: the line, from 1. */
  line?: number;
  /** The bytes that the client sent for this event; null for an event without data. */
  data: Uint8Array | null;
  /** The parsed data when it is JSON, else undefined. */
  json: unknown;
  id: string;
  /** The record's headers: `ce_*` attributes, `content-type`, trace context (CloudEvents Kafka binding 3.2). */
  headers: Record<string, string>;
  /** What makes the event the same as another: source, CloudEvents source and id, length-prefixed. */
  identity: string;
  /** The Kafka key. */
  key: string | null;
  /** What happened, for formats whose events have a name besides their type; a source's schemas may go by it. */
  name?: string;
  /** Checksum of what the client sent, where `data` was made from it. */
  print?: number;
  /** Why it is refused; empty when it may go on. */
  errors: EventError[];
}
