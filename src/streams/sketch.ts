/** Counts different values: exactly up to `MAX_EXACT`, then by HyperLogLog, with an error of about 2.3 %. */
export interface Sketch {
  /** Hashes; null once there are too many of them. */
  values: number[] | null;
  registers: Uint8Array | null;
}

const MAX_EXACT = 64;
/** Bits of a hash that choose the register. */
const BITS = 11;
const REGISTERS = 2 ** BITS;
const REST_BITS = 53 - BITS;

export function emptySketch(): Sketch {
  return { values: [], registers: null };
}

/** Adds a value by its hash; false when the sketch did not change. */
export function addHash(sketch: Sketch, hash: number): boolean {
  const { values } = sketch;
  if (values === null) return note(sketch.registers!, hash);
  if (values.includes(hash)) return false;
  values.push(hash);
  if (values.length > MAX_EXACT) toRegisters(sketch, values);
  return true;
}

/** Adds all values of `other`. */
export function mergeSketch(sketch: Sketch, other: Sketch): void {
  if (other.values !== null) {
    for (const hash of other.values) addHash(sketch, hash);
    return;
  }
  if (sketch.values !== null) toRegisters(sketch, sketch.values);
  const registers = sketch.registers!;
  for (let i = 0; i < REGISTERS; i++) registers[i] = Math.max(registers[i]!, other.registers![i]!);
}

export function countOf({ values, registers }: Sketch): number {
  if (values !== null) return values.length;
  let sum = 0;
  let empty = 0;
  for (const rank of registers!) {
    sum += 2 ** -rank;
    if (rank === 0) empty++;
  }
  const alpha = 0.7213 / (1 + 1.079 / REGISTERS);
  const estimate = (alpha * REGISTERS ** 2) / sum;
  const isSmall = estimate <= 2.5 * REGISTERS && empty > 0;
  return Math.round(isSmall ? REGISTERS * Math.log(REGISTERS / empty) : estimate);
}

/** Makes JSON of it: the hashes, or the registers in base64. */
export function writeSketch({ values, registers }: Sketch): number[] | string {
  return values ?? Buffer.from(registers!).toString('base64');
}

export function readSketch(written: number[] | string): Sketch {
  if (typeof written !== 'string') return { values: written, registers: null };
  return { values: null, registers: new Uint8Array(Buffer.from(written, 'base64')) };
}

/** 53 bits of a text, the same in every process. */
export function hashOf(text: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}

function toRegisters(sketch: Sketch, values: readonly number[]): void {
  sketch.registers = new Uint8Array(REGISTERS);
  sketch.values = null;
  for (const hash of values) note(sketch.registers, hash);
}

/** Keeps the longest run of zeros in the register of this hash. */
function note(registers: Uint8Array, hash: number): boolean {
  const index = hash % REGISTERS;
  const rest = Math.floor(hash / REGISTERS);
  const rank = rest === 0 ? REST_BITS + 1 : REST_BITS - Math.floor(Math.log2(rest));
  if (registers[index]! >= rank) return false;
  registers[index] = rank;
  return true;
}
