import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { Route } from './routes.ts';

/** The body of a request, and its headers. */
export interface Body {
  bytes: Buffer;
  type?: string;
  /** Content-Encoding. */
  coding?: string;
}

const KIB = 1024;
const MIB = KIB * KIB;
/** The standard limit after decompression. */
const INFLATED = 8 * MIB;
const ITEMS = 2490;
/** Bytes of an item of a batch that is just below all limits. */
const ITEM = Math.floor(INFLATED / ITEMS) - 2;

const compressors = {
  gzip: (bytes: Buffer) => gzipSync(bytes),
  deflate: (bytes: Buffer) => deflateSync(bytes),
  br: (bytes: Buffer) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
  zstd: (bytes: Buffer) => zstdCompressSync(bytes),
};
export type Coding = keyof typeof compressors;

const text = (value: string, type?: string): Body => ({
  bytes: Buffer.from(value),
  ...(type === undefined ? {} : { type }),
});

function compressed(body: Body, coding: Coding = 'gzip'): Body {
  return { ...body, bytes: compressors[coding](body.bytes), coding };
}

/** Makes some bytes that inflate to the most that is allowed, or beyond. They are always the same. */
export function spaces(coding: Coding, size = INFLATED): () => Body {
  let made: Body | null = null;
  return () => (made ??= compressed({ bytes: Buffer.alloc(size, ' ') }, coding));
}

/** Events of little sense that shrink by some `ratio`, so that a cap on the ratio does not see them. */
export function shrinking(route: Route, salt: string, ratio: number): Body {
  const noise = Math.ceil(ITEM / ratio);
  const item = (n: number) => {
    const random = Buffer.from(crypto.getRandomValues(new Uint8Array(noise)))
      .toString('hex')
      .slice(0, noise);
    return eventOf(route, `${salt}-${n}`, `"${random.padEnd(ITEM - 200, ' ')}"`);
  };
  return compressed(batchOf(route, list(ITEMS, item)));
}

/** A zstd frame whose header asks for a window of 128 MiB, with blocks that repeat one byte up to 8 MiB. */
export function zstdWindow(): Body {
  const block = (last: number) => {
    const bytes = Buffer.alloc(4, ' ');
    bytes.writeUIntLE(((128 * KIB) << 3) | (1 << 1) | last, 0, 3);
    return bytes;
  };
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (27 - 10) << 3]);
  return {
    bytes: Buffer.concat([head, ...Array.from({ length: 63 }, () => block(0)), block(1)]),
    coding: 'zstd',
  };
}

/** A megabyte of gzip members, each of which is empty. */
export function emptyMembers(): Body {
  const member = gzipSync('');
  return {
    bytes: Buffer.concat(Array.from({ length: Math.floor((MIB - 1) / member.length) }, () => member)),
    coding: 'gzip',
  };
}

/** An id that does not shrink: it keeps a body of many alike items below the cap on the ratio. */
const idOf = (salt: string, n: number) =>
  `${salt}-${n}-${Buffer.from(crypto.getRandomValues(new Uint8Array(20))).toString('hex')}`;

const list = (count: number, item: (n: number) => string) => Array.from({ length: count }, (_, n) => item(n));

/** One event as text, with `value` as what it carries. */
function eventOf({ takes }: Route, id: string, value: string): string {
  if (takes === 'segment')
    return `{"type":"track","event":"e","userId":"u","messageId":"${id}","properties":{"a":${value}}}`;
  return `{"id":"${id}","type":"t","a":${value}}`;
}

function batchOf({ takes }: Route, items: string[]): Body {
  return text(takes === 'segment' ? `{"batch":[${items.join(',')}]}` : `[${items.join(',')}]`);
}

/** JSON that has as many values in `size` bytes as can be. */
const values = (value: string, size: number) =>
  `[${`${value},`.repeat(Math.max(0, Math.floor((size - value.length) / (value.length + 1))))}${value}]`;

type Make = (route: Route, salt: string) => Body;

/** As many events with as many values as fit, as plain JSON or as a Segment batch, whose items grow when they are stored. */
export const emptyObjects: Make = (route, salt) =>
  compressed(
    batchOf(
      route,
      list(ITEMS, (n) => eventOf(route, idOf(salt, n), values('{}', ITEM - 560))),
    ),
  );

export const linesOfObjects: Make = (route, salt) =>
  compressed(
    text(
      list(ITEMS, (n) => eventOf(route, idOf(salt, n), values('{}', ITEM - 140))).join('\n'),
      'application/x-ndjson',
    ),
  );

export const cloudEvents: Make = (_route, salt) => {
  const item = (n: number) =>
    `{"specversion":"1.0","source":"/a","type":"t","id":"${idOf(salt, n)}","data":${values('{}', ITEM - 180)}}`;
  return compressed(text(`[${list(ITEMS, item).join(',')}]`, 'application/cloudevents-batch+json'));
};

export const senmlRecords: Make = (_route, salt) => {
  const item = (n: number) => `{"n":"${idOf(salt, n)}","v":1,"x":${values('{}', ITEM - 140)}}`;
  return compressed(text(`[${list(ITEMS, item).join(',')}]`, 'application/senml+json'));
};

/** Sums of numbers that are very far apart. */
export const senmlSums: Make = (_route, salt) =>
  text(
    `[{"bn":"${salt}-","bv":1e308,"v":1e-308,"n":"x"},${list(2400, (n) => `{"n":"${n}","v":1e-308}`).join(',')}]`,
    'application/senml+json',
  );

/** In CBOR an empty map is one byte, in JSON three with its comma: `many` of them in each event. */
function cborOf(salt: string, many: number): Body {
  const head = (major: number, value: number) =>
    value < 24
      ? Buffer.from([(major << 5) | value])
      : Buffer.from([(major << 5) | 25, value >> 8, value & 0xff]);
  const word = (value: string) => Buffer.concat([head(3, value.length), Buffer.from(value)]);
  const item = (n: number) =>
    Buffer.concat([
      ...[head(5, 3), word('id'), word(idOf(salt, n)), word('type'), word('t')],
      ...[word('a'), head(4, many), Buffer.alloc(many, 0xa0)],
    ]);
  const items = Array.from({ length: ITEMS }, (_, n) => item(n));
  return compressed({ bytes: Buffer.concat([head(4, ITEMS), ...items]), type: 'application/cbor' });
}

/** As much as is taken, counted as JSON, and as CBOR. */
export const cborMaps: Make = (_route, salt) => cborOf(salt, Math.floor((ITEM - 60) / 3));
export const cborMapsBeyond: Make = (_route, salt) => cborOf(salt, ITEM - 60);

/** A context that is lent to each of many items. */
export const lentContext: Make = (route, salt) => {
  const items = list(ITEMS, (n) => eventOf(route, idOf(salt, n), '1'));
  return text(`{"context":{"a":${values('{}', ITEM - 500)}},"batch":[${items.join(',')}]}`);
};

/** As much as is taken uncompressed: four events of 256 KiB, or one. */
const large =
  (value: (salt: string) => string, count = 4): Make =>
  (route, salt) => {
    const items = list(count, (n) => eventOf(route, idOf(salt, n), value(salt)));
    return count === 1 ? text(items[0]!) : batchOf(route, items);
  };
const ROOM = 256 * KIB - 200;
const members = (name: (n: number) => string, count: number) =>
  `{${list(count, (n) => `"${name(n)}":1`).join(',')}}`;

export const emptyArrays = large(() => values('[]', ROOM));
export const oneOfArrays = large(() => values('[]', ROOM), 1);
export const digits = large(() => `1${'0'.repeat(200_000)}`);
export const escapes = large(() => `"${'\\u0041'.repeat(Math.floor(ROOM / 6) - 1)}"`);
export const manyMembers = large(() => members((n) => `k${n}`, 20_000));
export const numberedMembers = large(() => members((n) => String(n * 4001), 15_000));

/** More elements than a batch may have, each as small as can be. */
export const tooMany: Make = () => text(values('{}', MIB - 10));
export const tooDeep: Make = () => text('['.repeat(MIB - 10));
export const nested: Make = (route, salt) =>
  compressed(
    batchOf(
      route,
      list(ITEMS, (n) => {
        const deep = `${'['.repeat(60)}${']'.repeat(60)}`;
        return eventOf(route, idOf(salt, n), values(deep, ITEM - 560));
      }),
    ),
  );

/** Lines that are no JSON: each has an error of its own. */
export const wrongLines: Make = () => text('{"a":x}\n'.repeat(2499), 'application/x-ndjson');
/** Events that are refused, each for several reasons. */
export const refused: Make = () => text(`[${'{"type":7,"a":[0,0,0,0]},'.repeat(2499)}{}]`);
/** No JSON at all, as large as is taken. */
export const noise: Make = () => ({ bytes: Buffer.alloc(MIB - 1, 0xff) });
export const small: Make = (route, salt) => text(eventOf(route, salt, '1'));

/** Padding that keeps the ratio of a compressed body small. */
const padding = () => Buffer.from(crypto.getRandomValues(new Uint8Array(24 * KIB)));
/** A CBOR head of a major type with a length of 32 bits. */
function cborHead(major: number, length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = (major << 5) | 26;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}
/** An array of one item and of bytes that do not shrink. */
function padded(item: Buffer): Body {
  const noise = padding();
  const whole = Buffer.concat([Buffer.from([0x82]), item, cborHead(2, noise.length), noise]);
  return compressed({ bytes: whole, type: 'application/cbor' }, 'br');
}

/** Records of which each has as many labels as are taken, and one that has more. */
export const senmlLabels: Make = () => {
  const record = (labels: number) => `{"n":"a","v":1,${list(labels, (n) => `"l${n}":1`).join(',')}}`;
  return text(`[${record(990)},${record(990)},${record(20_000)}]`, 'application/senml+json');
};
export const cborTags: Make = () =>
  padded(Buffer.concat([Buffer.alloc(INFLATED - 32 * KIB, 0xc6), Buffer.from([0])]));
export const cborBytes: Make = () =>
  padded(Buffer.concat([cborHead(2, 5 * MIB), Buffer.alloc(5 * MIB, 0xfb)]));
export const blankLines: Make = () => {
  const noise = Buffer.from(`{"a":"${padding().toString('hex')}"}`);
  const bytes = Buffer.concat([Buffer.alloc(INFLATED - noise.length, '\n'), noise]);
  return compressed({ bytes, type: 'application/x-ndjson' }, 'br');
};
