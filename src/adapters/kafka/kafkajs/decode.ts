import { createRequire } from 'node:module';
import kafkajs, { CompressionTypes } from 'kafkajs';

// Node finds only some of kafkajs' names in its CommonJS.
const { CompressionCodecs, KafkaJSError } = kafkajs;

/** Where kafkajs is in the record set of a fetch response. */
export interface Reading {
  buffer: Buffer;
  offset: number;
  forward(bytes: number): void;
}

/** A record as read: offset and timestamp are numbers, of a header that is there twice the last one counts. */
export interface Fetched {
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, Buffer>;
  offset: number;
  timestamp: number;
  /** Of a transaction's end, not of a producer. */
  isControlRecord: boolean;
  batchContext: { producerId: string; inTransaction: boolean };
}

/** From the batch's start. */
const ATTRIBUTES_AT = 21;
const COUNT_AT = 57;
const RECORDS_AT = 61;
/** Bytes that come before those which the length counts. */
const LENGTH_END = 12;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

let patched = false;

/** Has kafkajs read record batches with `decodeRecordBatch`: it asks for its own module at its first fetch, not before. */
export function decodeRecordBatches(): void {
  if (patched) return;
  patched = true;
  const require = createRequire(import.meta.url);
  const name = require.resolve('kafkajs/src/protocol/recordBatch/v0/decoder.js');
  require(name);
  require.cache[name]!.exports = decodeRecordBatch;
}

/**
 * Decodes a record batch (magic 2) in place of kafkajs, which makes a decoder and several big integers for every
 * record, and a new object for every header. Rejects as kafkajs does when the batch is cut short, which ends a
 * record set whose last batch did not fit.
 */
export async function decodeRecordBatch(reading: Reading): Promise<{ records: Fetched[] }> {
  const start = reading.offset;
  const bytes = reading.buffer;
  const end = start + LENGTH_END + bytes.readInt32BE(start + 8);
  if (end > bytes.length) throw new PartialBatch('a record batch is cut short');
  reading.forward(end - start);
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

/** By its name kafkajs knows it. */
class PartialBatch extends Error {
  override readonly name = 'KafkaJSPartialMessageError';
}

interface Batch {
  offset: number;
  timestamp: number;
  /** When the broker set the time. */
  appended: number | null;
  isControlRecord: boolean;
  context: Fetched['batchContext'];
}

function recordsOf(bytes: Buffer, count: number, batch: Batch): Fetched[] {
  const reader = new Reader(bytes);
  return Array.from({ length: Math.max(0, count) }, () => reader.record(batch));
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  /** The headers of the record before, by place: most records of a topic have the same names, and many values. */
  readonly #before: { name: Buffer; text: string; value: Buffer }[] = [];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  record(batch: Batch): Fetched {
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
    for (let place = 0; place < count; place++) {
      const { text, value } = this.#header(place);
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

  /** The next header, which is at this place of its record. */
  #header(place: number): { text: string; value: Buffer } {
    const name = this.#same(this.#before[place]?.name) ?? this.#field() ?? EMPTY;
    const before = this.#before[place];
    if (before?.name !== name) {
      const header = { name, text: name.toString(), value: this.#field() ?? EMPTY };
      this.#before[place] = header;
      return header;
    }
    before.value = this.#same(before.value) ?? this.#field() ?? EMPTY;
    return before;
  }

  /** These bytes, when they come next; undefined, and nothing is read, when others do. */
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

  /** Bytes after their length; null when that is -1. */
  #field(): Buffer | null {
    const length = this.#varint();
    if (length < 0) return null;
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  /** A zigzag number of up to 53 bits. Throws a RangeError at the end of the bytes. */
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

const EMPTY = Buffer.alloc(0);
/** Bytes up to which comparing is cheaper than another view of them. */
const SHORT = 64;
