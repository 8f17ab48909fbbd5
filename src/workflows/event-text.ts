import { asBuffer, parseJson } from '../cloudevents/record.ts';
import { structuredMessage } from '../function/envelope.ts';
import type { StoredRecord } from '../ports/event-log.ts';

/** An event of a record as text in the JSON format of CloudEvents, each number as it was sent. */
export function eventText(record: StoredRecord): string {
  const { body } = structuredMessage(record, '');
  return asBuffer(body!).toString('utf8');
}

const STRUCTURED = Buffer.from('application/cloudevents+json');

/** The record of an event in the JSON format, for what looks at records. */
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

/** The JSON of a text that was JSON before; null for what is none. */
export function jsonOf(text: string): unknown {
  return parseJson(Buffer.from(text)) ?? null;
}
