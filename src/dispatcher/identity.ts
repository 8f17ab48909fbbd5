import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { attributeReader, structuredEvent } from '../cloudevents/attribute-reader.ts';
import { claimKey } from '../ports/dedupe-store.ts';
import type { StoredRecord } from '../ports/event-log.ts';

const source = attributeReader('source');
const id = attributeReader('id');

/**
 * What is the same for an event whenever it is read: of its source and id, and of its payload, as an event that
 * differs from one that was delivered must not be dropped. One without an id is known by its place, which another
 * has when the topic is made anew: its time tells them apart.
 */
export function identityOf(record: StoredRecord, group: string): string {
  const event = structuredEvent(record);
  const from = source.text(record, event)!;
  const name = id.text(record, event)!;
  const isPlace = name === `${record.topic}-${record.partition}-${record.offset}`;
  const print = record.value === null ? '' : crc32(record.value);
  const text = `delivered:${group}\n${from.length}:${from}${name}\n${isPlace ? record.timestamp : ''}:${print}`;
  return claimKey(hash('sha256', text, 'base64'));
}
