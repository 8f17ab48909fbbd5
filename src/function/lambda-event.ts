import { asBuffer } from '../cloudevents/record.ts';
import type { StoredRecord } from '../ports/event-log.ts';

/** Bytes of a call's JSON without records and brokers. */
const CALL = '{"eventSource":"SelfManagedKafka","bootstrapServers":"","records":{}}'.length;
/** Bytes of the list of one partition without its topic; the partition has 10 digits. */
const LIST = '"-":[],'.length + 10;
/** Bytes of a record without topic, key, value and headers. Numbers: a 32-bit partition, two safe integers. */
const RECORD =
  '{"topic":"","partition":,"offset":,"timestamp":,"timestampType":"CREATE_TIME","key":"","value":"","headers":[]},'
    .length +
  10 +
  17 +
  17;
const HEADER = '{"":[]},'.length;
/** The most characters that JSON needs for a UTF-16 unit: \u0000. */
const ESCAPED = 6;
const PLAIN = /^[ !#-[\]-~]*$/;

/**
 * The event that a Lambda function gets from a self-managed Kafka, as JSON. Records keep their order within their
 * partition. `bootstrapServers`: host:port, joined by commas.
 */
export function kafkaEvent(records: readonly StoredRecord[], bootstrapServers: string): Buffer {
  const partitions: string[] = [];
  const lists: string[] = [];
  let last: StoredRecord | null = null;
  let index = 0;
  for (const record of records) {
    if (record.topic !== last?.topic || record.partition !== last.partition) {
      const name = `${record.topic}-${record.partition}`;
      index = partitions.indexOf(name);
      if (index === -1) index = partitions.push(name) - 1;
    }
    const json = recordJson(record);
    lists[index] = lists[index] === undefined ? json : `${lists[index]},${json}`;
    last = record;
  }
  const all = partitions.map((name, i) => `${JSON.stringify(name)}:[${lists[i]}]`).join(',');
  const brokers = JSON.stringify(bootstrapServers);
  return Buffer.from(
    `{"eventSource":"SelfManagedKafka","bootstrapServers":${brokers},"records":{${all}}}`,
    'utf8',
  );
}

/** A record without a key or value has no such member, as in the events that AWS makes. */
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

/** The most bytes that an event adds to a call. Their sum over all events is more than the size of the call's JSON. */
export function kafkaEventSize(
  { topic, key, value, headers }: StoredRecord,
  bootstrapServers: string,
): number {
  let size = CALL + escaped(bootstrapServers) + LIST + RECORD + 2 * escaped(topic);
  if (key !== null) size += base64(key.length);
  if (value !== null) size += base64(value.length);
  // A byte takes up to 5 characters: `-128,`.
  for (const name in headers) size += HEADER + escaped(name) + 5 * headers[name]!.length;
  return size;
}

function escaped(text: string): number {
  return PLAIN.test(text) ? text.length : ESCAPED * text.length;
}

function base64(bytes: number): number {
  return 4 * Math.ceil(bytes / 3);
}
