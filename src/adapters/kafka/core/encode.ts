import {
  type Message,
  maxRecordsSize,
  maxRequestSize,
  type PartitionBatch,
  type ProduceArguments,
} from './produce-request.ts';

/** The CRC-32C of bytes, as a signed number of 32 bits. */
export type Crc32c = (bytes: Buffer) => number;

/** Offsets in a batch: of its CRC, and of its records. */
const CRC_AT = 17;
const RECORDS_AT = 61;
/** Attribute of a batch: its records are compressed with gzip. */
const GZIP = 1;

/**
 * Makes a function that encodes Produce requests (versions 3 to 7, no transaction) with their record batches (magic 2)
 * into one buffer; `room` bytes are left free before the request. kafkajs makes a zero-filled buffer for every record
 * and every header, and copies each four times: with the six headers of a CloudEvent that is most of an event's cost.
 */
export function produceEncoder(crc32c: Crc32c): (request: ProduceArguments, room?: number) => Buffer {
  const writer = new Writer(crc32c);
  return (request, room = 0) => writer.request(request, room);
}

/** Encodes only the records of a batch: the part of it that gzip compresses. */
export function encodeRecords(messages: Message[]): Buffer {
  return new Writer(() => 0).records(messages);
}

class Writer {
  readonly #crc32c: Crc32c;
  #buffer = Buffer.alloc(0);
  #at = 0;

  constructor(crc32c: Crc32c) {
    this.#crc32c = crc32c;
  }

  request({ acks, timeout, producerId, producerEpoch, topicData }: ProduceArguments, room: number): Buffer {
    this.#buffer = Buffer.allocUnsafe(room + maxRequestSize(topicData));
    this.#at = room;
    this.#int16(-1);
    this.#int16(acks);
    this.#int32(timeout);
    this.#int32(topicData.length);
    for (const { topic, partitions } of topicData) {
      this.#int16(Buffer.byteLength(topic));
      this.#at += this.#buffer.write(topic, this.#at);
      this.#int32(partitions.length);
      for (const batch of partitions) {
        this.#int32(batch.partition);
        this.#batch(batch, BigInt(producerId.toString()), producerEpoch);
      }
    }
    return this.#taken();
  }

  records(messages: Message[]): Buffer {
    this.#buffer = Buffer.allocUnsafe(maxRecordsSize(messages));
    this.#at = 0;
    for (let i = 0; i < messages.length; i++) this.#record(messages[i]!, i);
    return this.#taken();
  }

  #taken(): Buffer {
    const encoded = this.#buffer.subarray(0, this.#at);
    this.#buffer = Buffer.alloc(0);
    return encoded;
  }

  #batch({ messages, packed, firstSequence }: PartitionBatch, producerId: bigint, epoch: number): void {
    const sizeAt = this.#at;
    this.#at += 4;
    const buffer = this.#buffer;
    const start = this.#at;
    const now = BigInt(Date.now());
    buffer.writeBigInt64BE(0n, start);
    buffer.writeInt32BE(0, start + 12);
    buffer[start + 16] = 2;
    buffer.writeInt16BE(packed === undefined ? 0 : GZIP, start + 21);
    buffer.writeInt32BE(messages.length - 1, start + 23);
    buffer.writeBigInt64BE(now, start + 27);
    buffer.writeBigInt64BE(now, start + 35);
    buffer.writeBigInt64BE(producerId, start + 43);
    buffer.writeInt16BE(epoch, start + 51);
    buffer.writeInt32BE(firstSequence, start + 53);
    buffer.writeInt32BE(messages.length, start + 57);
    this.#at = start + RECORDS_AT;
    if (packed === undefined) for (let i = 0; i < messages.length; i++) this.#record(messages[i]!, i);
    else this.#at += packed.copy(buffer, this.#at);
    buffer.writeInt32BE(this.#at - start - 12, start + 8);
    buffer.writeInt32BE(this.#crc32c(buffer.subarray(start + CRC_AT + 4, this.#at)), start + CRC_AT);
    buffer.writeInt32BE(this.#at - start, sizeAt);
  }

  #record({ key, value, headers }: Message, offsetDelta: number): void {
    // The length comes first but is known last. Most need two bytes; a record that needs fewer or more is moved.
    const start = this.#at;
    const body = start + 2;
    this.#at = body;
    this.#buffer[this.#at++] = 0; // attributes
    this.#buffer[this.#at++] = 0; // timestamp delta: the batch has one time
    this.#varint(offsetDelta);
    if (typeof key === 'string') this.#text(key);
    else this.#bytes(key);
    this.#bytes(value);
    let count = 0;
    for (const _ in headers) count++;
    this.#varint(count);
    for (const name in headers) {
      this.#text(name);
      const header = headers[name]!;
      if (typeof header === 'string') this.#text(header);
      else this.#bytes(header);
    }
    const end = this.#at;
    const length = end - body;
    const size = varintSize(length);
    if (size !== 2) this.#buffer.copyWithin(start + size, body, end);
    this.#at = start;
    this.#varint(length);
    this.#at += length;
  }

  #bytes(bytes: Uint8Array | null): void {
    if (bytes === null) {
      this.#varint(-1);
      return;
    }
    this.#varint(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #text(text: string): void {
    const { length } = text;
    const start = this.#at;
    this.#varint(length);
    const buffer = this.#buffer;
    let at = this.#at;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        this.#at = start;
        this.#varint(Buffer.byteLength(text));
        this.#at += buffer.write(text, this.#at);
        return;
      }
      buffer[at++] = code;
    }
    this.#at = at;
  }

  #varint(value: number): void {
    let rest = ((value << 1) ^ (value >> 31)) >>> 0;
    while (rest > 0x7f) {
      this.#buffer[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#at++] = rest;
  }

  #int16(value: number): void {
    this.#at = this.#buffer.writeInt16BE(value, this.#at);
  }

  #int32(value: number): void {
    this.#at = this.#buffer.writeInt32BE(value, this.#at);
  }
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value * 2; rest > 0x7f; rest = Math.floor(rest / 128)) size++;
  return size;
}
