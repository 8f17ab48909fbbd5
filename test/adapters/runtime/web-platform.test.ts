import { createHash } from 'node:crypto';
import { crc32, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { nodePlatform } from '../../../src/adapters/runtime/node-platform.ts';
import { webPlatform } from '../../../src/adapters/runtime/web-platform.ts';
import { RequestError } from '../../../src/core/errors.ts';

const web = webPlatform();
const node = nodePlatform();
afterAll(() => node.stop());

/** The code of the fault, or the result. */
async function outcome<T>(work: Promise<T>): Promise<T | string> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return error.code;
  }
}

describe('the platform of the web', () => {
  it('has the digests of Node', () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(bytes, fc.string({ unit: 'grapheme' }), (data, text) => {
        expect(web.sha256(data)).toBe(createHash('sha256').update(data).digest('hex'));
        expect(web.digest(text)).toBe(node.digest(text));
        expect(web.checksum(data)).toBe(crc32(data));
      }),
    );
    for (const length of [0, 55, 56, 63, 64, 119, 120, 1_000_003]) {
      const data = new Uint8Array(length).fill(length % 251);
      expect(web.sha256(data)).toBe(createHash('sha256').update(data).digest('hex'));
    }
  });

  it('digests a part of a larger buffer', () => {
    const whole = new Uint8Array(200).map((_, i) => i);
    const part = whole.subarray(33, 150);
    expect(web.sha256(part)).toBe(node.sha256(part));
  });

  it('C05 undoes codings as Node does, or says why not', async () => {
    const plain = new TextEncoder().encode(JSON.stringify({ filler: 'x'.repeat(5000) }));
    const packed = gzipSync(plain);
    const cases: ['gzip' | 'deflate', Uint8Array, number, Uint8Array | string][] = [
      ['gzip', packed, 10_000, plain],
      ['deflate', deflateSync(plain), 10_000, plain],
      ['deflate', deflateRawSync(plain), 10_000, plain],
      ['gzip', packed, 1000, 'body_too_large'],
      ['gzip', packed.subarray(0, 20), 10_000, 'bad_encoding'],
      ['gzip', Buffer.concat([packed, Buffer.from('more')]), 10_000, 'bad_encoding'],
      ['gzip', plain, 10_000, 'bad_encoding'],
    ];
    for (const [coding, bytes, limit, expected] of cases) {
      const sent = new Uint8Array(bytes);
      for (const platform of [web, node]) {
        let size = 0;
        const grow = (bytes: number) => {
          size += bytes;
          if (size > limit) throw new RequestError('body_too_large', 'no more fits');
        };
        const result = await outcome(platform.inflate(coding, sent, grow));
        expect(typeof result === 'string' ? result : new Uint8Array(result)).toEqual(expected);
      }
    }
  });

  it('C04 reads a body up to its limit, for as long as it may take', async () => {
    const told: number[] = [];
    const limits = { limit: 10, timeout: 50, rate: 1 };
    const hold = { stop: null, grow: (bytes: number) => void told.push(bytes) };
    const request = (body: ReadableStream | string | null) =>
      new Request('http://x/', { method: 'POST', body, duplex: 'half' } as RequestInit);
    const streamOf = (...chunks: string[]) =>
      new ReadableStream({
        start(stream) {
          for (const chunk of chunks) stream.enqueue(new TextEncoder().encode(chunk));
          stream.close();
        },
      });
    const read = (body: ReadableStream | string | null) =>
      outcome(web.readBody(request(body), undefined, limits, hold));
    expect(await read(streamOf('abc', 'def'))).toEqual(new TextEncoder().encode('abcdef'));
    expect(told).toEqual([3, 3]);
    expect(await read(null)).toEqual(new Uint8Array(0));
    expect(await read(streamOf('abcdef', 'ghijk'))).toBe('body_too_large');
    expect(await read(new ReadableStream({}))).toBe('body_timeout');
    const broken = new ReadableStream({
      pull(stream) {
        stream.error(new Error('gone'));
      },
    });
    expect(await read(broken)).toBe('body_aborted');
  });
});
