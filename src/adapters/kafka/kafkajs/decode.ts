import { createRequire } from 'node:module';
import kafkajs, { CompressionTypes, type KafkaMessage } from 'kafkajs';
import type Decoder from 'kafkajs/src/protocol/decoder.js';
import type { StoredRecord } from '../../../ports/event-log.ts';

// Node finds only some of kafkajs' names in its CommonJS.
const { CompressionCodecs, KafkaJSError } = kafkajs;

/** A decoded record. Offset and timestamp are numbers. Of two headers with one name the last one counts. */
interface FetchedRecord {
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, Buffer>;
  offset: number;
  timestamp: number;
  /** Written by the broker at the end of a transaction, not by a producer. */
  isControlRecord: boolean;
  batchContext: { producerId: string; inTransaction: boolean };
}

/** Offsets in a batch. */
const ATTRIBUTES_AT = 21;
const COUNT_AT = 57;
const RECORDS_AT = 61;
/** The batch's length counts the bytes after this offset. */
const LENGTH_END = 12;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

/**
 * Makes kafkajs decode record batches with `decodeRecordBatch`. kafkajs requires its own decoder at its first fetch, so
 * an earlier exchange in the module cache is enough.
 */
export function decodeRecordBatches(): void {
  const require = createRequire(import.meta.url);
  const name = require.resolve('kafkajs/src/protocol/recordBatch/v0/decoder.js');
  require(name);
  require.cache[name]!.exports = decodeRecordBatch;
}

/**
 * Decodes the record batch (magic 2) at the decoder's offset, and moves the offset behind it. kafkajs' own function makes
 * a decoder and several big integers for every record, and an object for every header. Rejects with kafkajs' error when
 * the batch is cut short: a fetch response may end so. Rejects with a RangeError when the batch is damaged.
 */
export async function decodeRecordBatch(
  decoder: Pick<Decoder, 'buffer' | 'offset' | 'forward'>,
): Promise<{ records: FetchedRecord[] }> {
  const start = decoder.offset;
  const bytes = decoder.buffer;
  const end = start + LENGTH_END + bytes.readInt32BE(start + 8);
  if (end > bytes.length) throw new PartialBatch('a record batch is cut short');
  decoder.forward(end - start);
  const attributes = bytes.readInt16BE(start + ATTRIBUTES_AT);
  const batch: Batch = {
    offset: Number(bytes.readBigInt64BE(start)),
    timestamp: Number(bytes.readBigInt64BE(start + 27)),
    appended: (attributes & LOG_APPEND_TIME) === 0 ? null : Number(bytes.readBigInt64BE(start + 35)),
    isControlRecord: (attributes & CONTROL) !== 0,
    context: {
      producerId: String(bytes.readBigInt64BE(start + 43)),
      inTransaction: (attributes & TRANSACTIONAL) !== 0,
    },
  };
  const count = bytes.readInt32BE(start + COUNT_AT);
  const packed = bytes.subarray(start + RECORDS_AT, end);
  const codec = attributes & 0x07;
  if (codec === CompressionTypes.None || count <= 0) return { records: recordsOf(packed, count, batch) };
  const unpack = CompressionCodecs[codec as CompressionTypes.GZIP];
  if (unpack === undefined) throw new KafkaJSError(`compression ${codec} is not known`, { retriable: false });
  return { records: recordsOf(await unpack().decompress(packed), count, batch) };
}

/** kafkajs knows this error by its name. */
class PartialBatch extends Error {
  override readonly name = 'KafkaJSPartialMessageError';
}

interface Batch {
  offset: number;
  timestamp: number;
  /** The broker's time, where the topic has `LogAppendTime`; else null. */
  appended: number | null;
  isControlRecord: boolean;
  context: FetchedRecord['batchContext'];
}

function recordsOf(bytes: Buffer, count: number, batch: Batch): FetchedRecord[] {
  const reader = new RecordReader(bytes);
  return Array.from({ length: Math.max(0, count) }, () => reader.record(batch));
}

class RecordReader {
  readonly #bytes: Buffer;
  #at = 0;
  /** The headers of the record before. Most records of a topic share the names, and many of the values. */
  readonly #before: { name: Buffer; text: string; value: Buffer }[] = [];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  record(batch: Batch): FetchedRecord {
    const length = this.#varint();
    const end = this.#at + length;
    if (length < 0 || end > this.#bytes.length) throw new RangeError('a record ends behind its batch');
    this.#at++; // attributes
    const timestamp = batch.timestamp + this.#varint();
    const offset = batch.offset + this.#varint();
    const key = this.#field();
    const value = this.#field();
    const headers: Record<string, Buffer> = {};
    const count = this.#varint();
    if (count > length) throw new RangeError('a record has more headers than bytes');
    for (let index = 0; index < count; index++) {
      const { text, value } = this.#header(index);
      if (text !== '__proto__') headers[text] = value;
      else Object.defineProperty(headers, text, { value, enumerable: true });
    }
    if (this.#at !== end) throw new RangeError('a record does not end where it should');
    return {
      key,
      value,
      headers,
      offset,
      timestamp: batch.appended ?? timestamp,
      isControlRecord: batch.isControlRecord,
      batchContext: batch.context,
    };
  }

  /** Reads the next header, the one with this index in its record. */
  #header(index: number): { text: string; value: Buffer } {
    const name = this.#same(this.#before[index]?.name) ?? this.#field() ?? EMPTY;
    const before = this.#before[index];
    if (before?.name !== name) {
      const header = { name, text: name.toString(), value: this.#field() ?? EMPTY };
      this.#before[index] = header;
      return header;
    }
    before.value = this.#same(before.value) ?? this.#field() ?? EMPTY;
    return before;
  }

  /** Reads a field if it equals `known`, and returns `known`; else returns undefined and reads nothing. */
  #same(known: Buffer | undefined): Buffer | undefined {
    const start = this.#at;
    if (known === undefined || known.length > SHORT || this.#varint() !== known.length) {
      this.#at = start;
      return undefined;
    }
    const bytes = this.#bytes;
    const at = this.#at;
    for (let i = 0; i < known.length; i++) {
      if (bytes[at + i] === known[i]) continue;
      this.#at = start;
      return undefined;
    }
    this.#at += known.length;
    return known;
  }

  /** Reads a length and as many bytes; null when the length is -1. */
  #field(): Buffer | null {
    const length = this.#varint();
    if (length < 0) return null;
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  /** Reads a zigzag number of up to 53 bits. Throws a RangeError at the end of the bytes. */
  #varint(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#at++]!;
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
    let value = byte & 0x7f;
    for (let scale = 0x80; byte >= 0x80; scale *= 0x80) {
      if (this.#at >= bytes.length) throw new RangeError('a record batch ends in a number');
      byte = bytes[this.#at++]!;
      value += (byte & 0x7f) * scale;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

/** A fetched message as a record of the log. This file decoded it: kafkajs' own type does not hold. */
export function stored(topic: string, partition: number, message: KafkaMessage): StoredRecord {
  const { key, value, headers, offset, timestamp } = message as unknown as FetchedRecord;
  return { topic, partition, key, value, headers, offset, timestamp };
}

const EMPTY = Buffer.alloc(0);
/** Up to so many bytes a comparison is cheaper than a new view of them. */
const SHORT = 64;
