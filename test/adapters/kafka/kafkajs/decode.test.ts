import fc from 'fast-check';
import Decoder from 'kafkajs/src/protocol/decoder.js';
import kafkajsDecode from 'kafkajs/src/protocol/recordBatch/v0/decoder.js';
import { describe, expect, it } from 'vitest';
import { produceEncoder } from '../../../../src/adapters/kafka/core/encode.ts';
import { decodeRecordBatch } from '../../../../src/adapters/kafka/kafkajs/decode.ts';

type Messages = Parameters<ReturnType<typeof produceEncoder>>[0]['topicData'][0]['partitions'][0]['messages'];

/** A batch as a producer encodes it. */
function batchOf(messages: Messages): Buffer {
  const partitions = [{ partition: 0, firstSequence: 5, messages }];
  const request = { acks: -1, timeout: 0, producerId: 77n, producerEpoch: 1 };
  return produceEncoder(() => 0)({ ...request, topicData: [{ topic: 't', partitions }] }).subarray(27);
}

const bytes = fc.uint8Array({ maxLength: 300 }).map((list) => Buffer.from(list));
// kafkajs takes what every object has for a header that it read before.
const text = fc.string({ unit: 'grapheme', maxLength: 80 }).filter((name) => !(name in {}));
const messages = fc.array(
  fc.record({
    key: fc.option(bytes),
    value: fc.option(fc.oneof(bytes, fc.constant(Buffer.alloc(9000, 7)))),
    headers: fc.dictionary(fc.oneof(text, fc.constantFrom('ce_id', 'ce_type')), bytes, { maxKeys: 8 }),
  }),
  { minLength: 1, maxLength: 20 },
);

describe('the decoding of record batches', () => {
  it('finds what kafkajs finds, wherever the batch begins', { tags: ['slow'] }, async () => {
    await fc.assert(
      fc.asyncProperty(messages, fc.bigInt(0n, 2n ** 52n), fc.nat(9), async (list, first, before) => {
        const batch = batchOf(list);
        batch.writeBigInt64BE(first);
        const whole = Buffer.concat([Buffer.alloc(before), batch, Buffer.alloc(3)]);
        const [ours, theirs] = [new Decoder(whole), new Decoder(whole)];
        ours.forward(before);
        theirs.forward(before);
        const { records } = await decodeRecordBatch(ours);
        const expected = (await kafkajsDecode(theirs)).records;
        expect(
          records.map(({ offset, timestamp, batchContext, ...rest }) => ({
            ...rest,
            offset: String(offset),
            timestamp: String(timestamp),
            producerId: batchContext.producerId,
          })),
        ).toEqual(
          expected.map(({ key, value, headers, offset, timestamp, isControlRecord, batchContext }) => ({
            ...{ key, value, headers, isControlRecord, offset, timestamp },
            producerId: batchContext.producerId,
          })),
        );
        expect(ours.offset).toBe(theirs.offset);
      }),
      { numRuns: 100 },
    );
  });

  it('takes the time of the broker where the topic says so', async () => {
    const batch = batchOf([{ key: null, value: Buffer.from('x'), headers: {} }]);
    batch.writeInt16BE(0x08, 21);
    batch.writeBigInt64BE(1_790_000_000_123n, 35);
    const { records } = await decodeRecordBatch(new Decoder(batch));
    expect(records[0]!.timestamp).toBe(1_790_000_000_123);
  });

  it('keeps a header whose name means something to JavaScript', async () => {
    const headers = JSON.parse('{"__proto__":"a","constructor":"b"}');
    const { records } = await decodeRecordBatch(new Decoder(batchOf([{ key: null, value: null, headers }])));
    expect(Object.entries(records[0]!.headers).map(([name, value]) => [name, String(value)])).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
  });

  it('says of a batch that is cut short what kafkajs says, and of damaged ones that they are', async () => {
    const batch = batchOf([{ key: null, value: Buffer.alloc(100), headers: {} }]);
    await expect(decodeRecordBatch(new Decoder(batch.subarray(0, -1)))).rejects.toMatchObject({
      name: 'KafkaJSPartialMessageError',
    });
    const more = Buffer.from(batch);
    more.writeInt32BE(2, 57);
    await expect(decodeRecordBatch(new Decoder(more))).rejects.toThrow(RangeError);
    const longer = Buffer.from(batch);
    longer[61] = 0xfe;
    longer[62] = 0x7f;
    await expect(decodeRecordBatch(new Decoder(longer))).rejects.toThrow(RangeError);
    // The lengths of the record, its key and its value, and how many headers it has.
    for (const place of [61, 62, 66, 67, 68, batch.length - 1]) {
      const damaged = Buffer.from(batch);
      damaged[place]! ^= 0x81;
      await expect(decodeRecordBatch(new Decoder(damaged))).rejects.toThrow(RangeError);
    }
  });
});
