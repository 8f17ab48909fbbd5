import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import kafkajs, { CompressionTypes } from 'kafkajs';

// Node finds only some of kafkajs' names in its CommonJS.
const { CompressionCodecs } = kafkajs;

const unzstd = promisify(zstdDecompress);

/** Lets kafkajs read Snappy, LZ4 and Zstandard, which other clients and brokers use. By itself it reads only gzip. */
export function registerCodecs(): void {
  CompressionCodecs[CompressionTypes.Snappy] = readOnly('snappy', async (bytes) => unsnappy(bytes));
  CompressionCodecs[CompressionTypes.LZ4] = readOnly('lz4', async (bytes) => unlz4(bytes));
  CompressionCodecs[CompressionTypes.ZSTD] = readOnly('zstd', unzstd);
}

function readOnly(name: string, decompress: (bytes: Buffer) => Promise<Buffer>) {
  const compress = async () => {
    throw new Error(`compression with ${name} is not supported`);
  };
  return () => ({ compress, decompress });
}

const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);

/** Decompresses Snappy, bare or in the framing of the Java library. Throws a RangeError when the data is damaged. */
export function unsnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, 8).equals(XERIAL)) return snappyBlock(bytes);
  const blocks: Buffer[] = [];
  // Two version numbers follow the magic bytes.
  for (let at = 16; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at);
    blocks.push(snappyBlock(bytes.subarray(at + 4, end)));
    at = end;
  }
  return Buffer.concat(blocks);
}

function snappyBlock(bytes: Buffer): Buffer {
  let at = 0;
  let size = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes.readUInt8(at++);
    size += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  const output = new Output(size);
  while (at < bytes.length) {
    const tag = bytes[at++]!;
    let length = (tag >> 2) + 1;
    switch (tag & 3) {
      case 0: {
        // Lengths over 60 are in the next one to four bytes.
        const extra = length - 60;
        if (extra > 0) {
          length = bytes.readUIntLE(at, extra) + 1;
          at += extra;
        }
        output.literal(bytes, at, length);
        at += length;
        break;
      }
      case 1:
        output.copy(((tag >> 5) << 8) | bytes.readUInt8(at), ((tag >> 2) & 7) + 4);
        at += 1;
        break;
      case 2:
        output.copy(bytes.readUInt16LE(at), length);
        at += 2;
        break;
      default:
        output.copy(bytes.readUInt32LE(at), length);
        at += 4;
    }
  }
  return output.bytes();
}

/** Decompresses one LZ4 frame. Its checksums are not verified: TCP has its own. Throws a RangeError when it is damaged. */
export function unlz4(bytes: Buffer): Buffer {
  if (bytes.readUInt32LE(0) !== 0x184d2204) throw new RangeError('not an LZ4 frame');
  const flags = bytes.readUInt8(4);
  const checksum = flags & 0x10 ? 4 : 0;
  let at = 7 + (flags & 0x08 ? 8 : 0) + (flags & 0x01 ? 4 : 0);
  const output = new Output(bytes.length * 4);
  for (;;) {
    const word = bytes.readUInt32LE(at);
    at += 4;
    if (word === 0) return output.bytes();
    const end = at + (word & 0x7fffffff);
    if (word >= 0x80000000) output.literal(bytes, at, end - at);
    else lz4Block(bytes.subarray(at, end), output);
    at = end + checksum;
  }
}

function lz4Block(bytes: Buffer, output: Output): void {
  let at = 0;
  const extended = (length: number): number => {
    let sum = length;
    if (length < 15) return sum;
    for (let byte = 255; byte === 255; sum += byte) byte = bytes.readUInt8(at++);
    return sum;
  };
  while (at < bytes.length) {
    const token = bytes[at++]!;
    const literal = extended(token >> 4);
    output.literal(bytes, at, literal);
    at += literal;
    // The last sequence has no match.
    if (at >= bytes.length) return;
    const distance = bytes.readUInt16LE(at);
    at += 2;
    output.copy(distance, extended(token & 15) + 4);
  }
}

/** The decompressed bytes so far; later parts may repeat earlier ones. */
class Output {
  #buffer: Buffer;
  #length = 0;

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafe(size);
  }

  literal(source: Buffer, at: number, length: number): void {
    if (at + length > source.length) throw new RangeError('compressed data ends early');
    this.#room(length);
    source.copy(this.#buffer, this.#length, at, at + length);
    this.#length += length;
  }

  copy(distance: number, length: number): void {
    if (distance === 0 || distance > this.#length)
      throw new RangeError('compressed data points too far back');
    this.#room(length);
    const buffer = this.#buffer;
    const end = this.#length + length;
    // Byte by byte, because the source may overlap the target.
    for (let to = this.#length; to < end; to++) buffer[to] = buffer[to - distance]!;
    this.#length = end;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #room(length: number): void {
    if (this.#length + length <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + length));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
