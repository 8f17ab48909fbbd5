import assert from 'node:assert/strict';
import type { LoadResult } from './in-cluster/load.ts';

/** Every reply is 2xx, or 503 with Retry-After; requests are broken only where a process is killed; the books balance. */
export function judge({ phases, books, givenUp }: LoadResult, mayBreak: string[]): void {
  for (const [name, { replies, broken }] of Object.entries(phases)) {
    for (const status of Object.keys(replies)) assert.match(status, /^(202|503)$/, `in phase ${name}`);
    if (!mayBreak.includes(name)) assert.deepEqual(broken, {}, `broken requests in phase ${name}`);
  }
  assert(books.acknowledged > 0);
  assert.deepEqual(books.missing.slice(0, 20), [], 'acknowledged, but not in Kafka');
  assert.deepEqual(books.undelivered.slice(0, 20), [], 'acknowledged, but never delivered');
  assert.equal(givenUp, 0, 'events that were never taken');
}
