import Broker from 'kafkajs/src/broker/index.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import { registerCodecs } from './codecs.ts';
import { decodeRecordBatches } from './decode.ts';
import { encodeProduceRequests } from './produce.ts';

/** Marks kafkajs as patched, wherever it was loaded from. */
const PATCHED = Symbol.for('postern.patched');

/**
 * Changes private parts of kafkajs, once. Only this folder knows kafkajs, and the version is pinned: 2.2.4, the last
 * one since 2023. Measured, its own encoding and decoding are most of an event's cost. A change of the library fails
 * encode.test.ts and leaders.test.ts (produce.ts), decode.test.ts (decode.ts), codecs.test.ts (codecs.ts),
 * log-reader.test.ts (fetch-cluster.ts), group.test.ts (waiting-consumer.ts) or warnings.test.ts (below).
 */
export function patchKafkajs(): void {
  if (PATCHED in Broker.prototype) return;
  Object.defineProperty(Broker.prototype, PATCHED, { value: true });
  registerCodecs();
  decodeRecordBatches();
  encodeProduceRequests();
  stopNegativeTimers();
}

/**
 * After every response kafkajs sets a timer to look at its queue, with a negative delay when it is not throttled;
 * Node 24 warns of that (tulios/kafkajs#1751). An empty queue needs no timer: adding to the queue sets one by itself.
 * Only this method is replaced, so that other warnings are still shown.
 */
function stopNegativeTimers(): void {
  const original = RequestQueue.prototype.scheduleCheckPendingRequests;
  RequestQueue.prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0) original.call(this);
  };
}
