import fc from 'fast-check';
import { Partitioners } from 'kafkajs';
import { expect, test } from 'vitest';
import { murmur2, partitionOf } from '../../../../src/adapters/kafka/core/partition.ts';

test('C44 places keys where the Java client places them', () => {
  // Pairs from Kafka's own test of its murmur2.
  const known: [string, number][] = [
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ];
  for (const [text, hash] of known) expect(murmur2(Buffer.from(text))).toBe(hash);
});

test('C44 places every key where kafkajs places it', () => {
  const partitioner = Partitioners.DefaultPartitioner();
  const metadata = (count: number) =>
    Array.from({ length: count }, (_, partitionId) => ({
      partitionId,
      partitionErrorCode: 0,
      leader: 0,
      replicas: [0],
      isr: [0],
    }));
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), fc.integer({ min: 1, max: 50 }), (bytes, count) => {
      const message = { key: Buffer.from(bytes), value: null };
      const theirs = partitioner({ topic: 't', partitionMetadata: metadata(count), message });
      expect(partitionOf(bytes, count)).toBe(theirs);
    }),
    { numRuns: 2_000 },
  );
});
