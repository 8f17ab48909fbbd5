/** CRC-32C (Castagnoli), eight bytes a step. */
const TABLES = 8;

export type Crc32c = (bytes: Uint8Array, start: number, end: number) => number;

/** Makes the function; its tables take 8 KiB. The result is unsigned. */
export function makeCrc32c(): Crc32c {
  const table = new Int32Array(TABLES * 256);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    table[n] = crc;
  }
  for (let n = 0; n < 256; n++) {
    for (let t = 1; t < TABLES; t++) {
      const before = table[(t - 1) * 256 + n]!;
      table[t * 256 + n] = table[before & 0xff]! ^ (before >>> 8);
    }
  }
  return (bytes, start, end) => {
    let crc = -1;
    let i = start;
    for (; i + 8 <= end; i += 8) {
      crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
      crc =
        table[1792 + (crc & 0xff)]! ^
        table[1536 + ((crc >>> 8) & 0xff)]! ^
        table[1280 + ((crc >>> 16) & 0xff)]! ^
        table[1024 + (crc >>> 24)]! ^
        table[768 + bytes[i + 4]!]! ^
        table[512 + bytes[i + 5]!]! ^
        table[256 + bytes[i + 6]!]! ^
        table[bytes[i + 7]!]!;
    }
    for (; i < end; i++) crc = table[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
    return ~crc >>> 0;
  };
}
