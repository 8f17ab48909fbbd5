import { asBuffer, parseJson } from '../cloudevents/record.ts';
import { structuredMessage } from '../function/envelope.ts';
import type { StoredRecord } from '../ports/event-log.ts';

/** The event of a record in the JSON format of CloudEvents, as text, with each number as it was sent. */
export function eventText(record: StoredRecord): string {
  const { body } = structuredMessage(record, '');
  return asBuffer(body!).toString('utf8');
}

const STRUCTURED = Buffer.from('application/cloudevents+json');

/** A record with an event in the JSON format, for code that takes records. */
export function structuredRecord(event: string): StoredRecord {
  return {
    topic: '',
    partition: 0,
    offset: 0,
    timestamp: 0,
    key: null,
    value: Buffer.from(event),
    headers: { 'content-type': STRUCTURED },
  };
}

/** Parsed JSON; null for a text that is no JSON. */
export function jsonOf(text: string): unknown {
  return parseJson(Buffer.from(text)) ?? null;
}
