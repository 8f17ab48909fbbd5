import crc32c from 'crc-32/crc32c.js';
import fc from 'fast-check';
import requestV7 from 'kafkajs/src/protocol/requests/produce/v7/request.js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { produceEncoder } from '../../../../src/adapters/kafka/core/encode.ts';
import type { ProduceArguments } from '../../../../src/adapters/kafka/core/produce-request.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: 1_790_000_000_123, toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const bytes = fc.uint8Array({ maxLength: 300 }).map((list) => Buffer.from(list));
const text = fc.string({ unit: 'binary', maxLength: 80 });
const message = fc.record({
  key: fc.option(bytes),
  value: fc.option(fc.oneof(bytes, fc.constant(Buffer.alloc(9000, 7)))),
  headers: fc.dictionary(text, fc.oneof(text, bytes), { maxKeys: 8 }),
});
const request: fc.Arbitrary<ProduceArguments> = fc.record({
  acks: fc.constant(-1),
  timeout: fc.nat(),
  producerId: fc.bigInt(0n, 2n ** 62n).map((value) => ({ value, toString: () => String(value) })),
  producerEpoch: fc.nat(30_000),
  topicData: fc.array(
    fc.record({
      topic: fc.string({ minLength: 1, maxLength: 30 }),
      partitions: fc.array(
        fc.record({
          partition: fc.nat(1000),
          firstSequence: fc.nat(),
          messages: fc.array(message, { minLength: 1, maxLength: 70 }),
        }),
        { maxLength: 3 },
      ),
    }),
    { maxLength: 2 },
  ),
});

describe('the encoding of produce requests', () => {
  it("is kafkajs' own, byte for byte", async () => {
    const encode = produceEncoder(crc32c.buf);
    await fc.assert(
      fc.asyncProperty(request, async (args) => {
        const { default: Long } = await import('kafkajs/src/utils/long.js');
        const producerId = Long.fromValue(args.producerId.toString());
        const { buffer } = await requestV7({ ...args, producerId, transactionalId: null }).encode();
        expect(encode(args).equals(buffer)).toBe(true);
        expect(encode(args, 64).subarray(64).equals(buffer)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});
