import { asBuffer } from '../cloudevents/record.ts';
import type { StoredRecord } from '../ports/event-log.ts';

/** Bytes that a call's own part of the JSON takes, but for the brokers' names. */
const CALL = '{"eventSource":"SelfManagedKafka","bootstrapServers":"","records":{}}'.length;
/** The list of one partition, but for its name. */
const LIST = '"-":[],'.length + 10;
/** A record, but for its topic, key, value and headers. Numbers: a 32-bit partition, two safe integers. */
const RECORD =
  '{"topic":"","partition":,"offset":,"timestamp":,"timestampType":"CREATE_TIME","key":"","value":"","headers":[]},'
    .length +
  10 +
  17 +
  17;
const HEADER = '{"":[]},'.length;
/** The longest that JSON makes of a UTF-16 unit: \u0000. */
const ESCAPED = 6;
const PLAIN = /^[ !#-[\]-~]*$/;

/**
 * The event that a Lambda function gets from a self-managed Kafka, as JSON. Records keep their order within
 * their partition. `bootstrapServers`: host:port, joined by commas.
 */
export function kafkaEvent(records: readonly StoredRecord[], bootstrapServers: string): Buffer {
  const places: string[] = [];
  const lists: string[] = [];
  let last: StoredRecord | null = null;
  let index = 0;
  for (const record of records) {
    if (record.topic !== last?.topic || record.partition !== last.partition) {
      const place = `${record.topic}-${record.partition}`;
      index = places.indexOf(place);
      if (index === -1) index = places.push(place) - 1;
    }
    const json = recordJson(record);
    lists[index] = lists[index] === undefined ? json : `${lists[index]},${json}`;
    last = record;
  }
  const all = places.map((place, i) => `${JSON.stringify(place)}:[${lists[i]}]`).join(',');
  const brokers = JSON.stringify(bootstrapServers);
  return Buffer.from(
    `{"eventSource":"SelfManagedKafka","bootstrapServers":${brokers},"records":{${all}}}`,
    'utf8',
  );
}

/** Without a key or value, a record has no such member: so do those that AWS makes. */
function recordJson({ topic, partition, offset, timestamp, key, value, headers }: StoredRecord): string {
  let json = `{"topic":${JSON.stringify(topic)},"partition":${partition},"offset":${offset}`;
  json += `,"timestamp":${timestamp},"timestampType":"CREATE_TIME"`;
  if (key !== null) json += `,"key":"${asBuffer(key).toString('base64')}"`;
  if (value !== null) json += `,"value":"${asBuffer(value).toString('base64')}"`;
  let separator = '';
  json += ',"headers":[';
  for (const name in headers) {
    json += `${separator}{${JSON.stringify(name)}:[${signed(headers[name]!).join(',')}]}`;
    separator = ',';
  }
  return `${json}]}`;
}

/** From -128 to 127, as AWS sends them: its types for Go, Rust and .NET take nothing else. */
function signed(bytes: Uint8Array): Int8Array {
  return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Bytes that an event takes of a call at most: those of all events of a call are more than its JSON has.
 */
export function kafkaEventSize(
  { topic, key, value, headers }: StoredRecord,
  bootstrapServers: string,
): number {
  let size = CALL + escaped(bootstrapServers) + LIST + RECORD + 2 * escaped(topic);
  if (key !== null) size += base64(key.length);
  if (value !== null) size += base64(value.length);
  // A byte is up to `-128,`.
  for (const name in headers) size += HEADER + escaped(name) + 5 * headers[name]!.length;
  return size;
}

function escaped(text: string): number {
  return PLAIN.test(text) ? text.length : ESCAPED * text.length;
}

function base64(bytes: number): number {
  return 4 * Math.ceil(bytes / 3);
}
