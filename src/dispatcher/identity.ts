import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { attributeReader, structuredEvent } from '../cloudevents/attribute-reader.ts';
import { claimKey } from '../ports/dedupe-store.ts';
import type { StoredRecord } from '../ports/event-log.ts';

const source = attributeReader('source');
const id = attributeReader('id');

/**
 * The key under which the dedupe store remembers an event: the same whenever the event is read. It is made of source
 * and id, and of the payload, because an event with another payload must not be dropped. An event without an id has one
 * made of its position. In a topic that was deleted and created again another event has that position, so its time is
 * part of the key too.
 */
export function identityOf(record: StoredRecord, group: string): string {
  const event = structuredEvent(record);
  const from = source.text(record, event)!;
  const name = id.text(record, event)!;
  const isPosition = name === `${record.topic}-${record.partition}-${record.offset}`;
  const checksum = record.value === null ? '' : crc32(record.value);
  const text = `delivered:${group}\n${from.length}:${from}${name}\n${isPosition ? record.timestamp : ''}:${checksum}`;
  return claimKey(hash('sha256', text, 'base64'));
}
