import { createHash } from 'node:crypto';
import { HOPS } from '../cloudevents/attributes.ts';
import type { StreamConfig } from '../config/stream/types.ts';
import type { LogRecord, StoredRecord } from '../ports/event-log.ts';
import type { Aggregate } from './aggregate.ts';
import { textOf } from './aggregate.ts';
import type { Window } from './windows/windows.ts';

/** The topics that a stream writes to besides `emit.topic`. */
export const lateTopic = (stream: string): string => `${stream}.late`;
export const keyTopic = (stream: string): string => `${stream}.by-key`;

/** Keys that stand in ids as they are. Others are replaced by their digest. */
const PLAIN_KEY = /^[!-~]{1,128}$/;

/** The results of a window by name. */
export function resultsOf(
  names: readonly string[],
  aggregates: readonly Aggregate[],
  { states }: Window,
): Record<string, unknown> {
  const results: Record<string, unknown> = {};
  for (let i = 0; i < names.length; i++) results[names[i]!] = aggregates[i]!.result(states[i]);
  return results;
}

/**
 * The event for a window: a CloudEvent in binary mode (Kafka binding 3.2). Its id is made of stream, key and window, so
 * that a repeat is a duplicate. `rough`: names of results that are not exact.
 */
export function emittedRecord(
  { name, emit }: StreamConfig,
  window: Window,
  results: Record<string, unknown>,
  rough: readonly string[],
): LogRecord {
  const { key } = window;
  const start = new Date(window.start).toISOString();
  const end = new Date(window.end).toISOString();
  const readable = PLAIN_KEY.test(key) ? key : createHash('sha256').update(key).digest('base64url');
  const data = { stream: name, key, start, end, ...results, ...(rough.length > 0 && { approximate: rough }) };
  return {
    topic: emit.topic,
    key,
    value: Buffer.from(textOf(data)),
    headers: {
      ce_specversion: '1.0',
      ce_id: `${name}/${readable}/${window.id ?? start}`,
      ce_source: `/streams/${name}`,
      ce_type: emit.type,
      ce_time: end,
      [`ce_${HOPS}`]: String(window.hops + 1),
      'content-type': 'application/json',
    },
  };
}

/** `full`: no more windows may be open; `too_many_hops`: the event has been through too many functions and streams, a loop. */
export type LateReason = 'late' | 'future' | 'full' | 'too_many_hops';

/** The record for the late topic: an event that is in no window, as it was, with its position and the reason. */
export function lateRecord(
  stream: string,
  record: StoredRecord,
  reason: LateReason,
  origin: string,
): LogRecord {
  return {
    topic: lateTopic(stream),
    key: record.key,
    value: record.value,
    headers: { ...record.headers, postern_stream: stream, postern_reason: reason, postern_origin: origin },
  };
}
