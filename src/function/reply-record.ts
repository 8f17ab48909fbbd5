import { HOPS } from '../cloudevents/attributes.ts';
import { asBuffer, cloudEvent, contentTypeOf, headerText, isStructured } from '../cloudevents/record.ts';
import { traceHeaders } from '../core/trace-context.ts';
import type { LogRecord, StoredRecord } from '../ports/event-log.ts';
import type { FunctionReply } from './answer.ts';
import { type ReplyEvent, readReply } from './reply.ts';

/** An event and the replies to it may be replied to so often; more is a loop. */
export const MAX_HOPS = 16;

export class TooManyHops extends Error {
  override readonly name = 'TooManyHops';
}

/** The events of a reply as records (CloudEvents Kafka binding, binary mode). Throws BadReply or TooManyHops. */
export function replyRecords(
  records: readonly StoredRecord[],
  reply: FunctionReply,
  topic: string,
): LogRecord[] {
  const events = readReply(reply);
  if (events.length === 0) return [];
  const hops = 1 + records.reduce((most, record) => Math.max(most, hopsOf(record)), 0);
  if (hops > MAX_HOPS) throw new TooManyHops(`an answer after ${MAX_HOPS} answers is taken for a loop`);
  const key = keyOf(records);
  const trace = traceOf(records);
  return events.map((event) => recordOf(event, { topic, key, hops, trace }));
}

function recordOf(
  { headers, data, key, trace }: ReplyEvent,
  from: { topic: string; key: Uint8Array | null; hops: number; trace: Record<string, string> },
): LogRecord {
  return {
    topic: from.topic,
    key: key ?? from.key,
    value: data,
    headers: {
      ...headers,
      [`ce_${HOPS}`]: String(from.hops),
      ...(trace.traceparent === undefined ? from.trace : trace),
    },
  };
}

/** How many replies and streams a record's event has been through since it came in from outside. */
export function hopsOf(record: StoredRecord): number {
  const text = isStructured(contentTypeOf(record))
    ? cloudEvent(record).attributes[HOPS]
    : headerText(record, `ce_${HOPS}`);
  return text !== undefined && text !== null && /^\d+$/.test(text) ? Number(text) : 0;
}

/** The key that all these records have; null when they differ. */
function keyOf([first, ...others]: readonly StoredRecord[]): Uint8Array | null {
  const key = first!.key;
  if (key === null || others.length === 0) return key;
  return others.every((other) => other.key !== null && asBuffer(other.key).equals(key)) ? key : null;
}

/** The trace context of these records; empty when they belong to several traces. */
function traceOf([first, ...others]: readonly StoredRecord[]): Record<string, string> {
  const trace = traceHeaders(
    headerText(first!, 'traceparent') ?? undefined,
    headerText(first!, 'tracestate') ?? undefined,
  );
  const id = trace.traceparent?.slice(3, 35);
  const isOne = others.every((other) => headerText(other, 'traceparent')?.slice(3, 35) === id);
  return isOne ? trace : {};
}
