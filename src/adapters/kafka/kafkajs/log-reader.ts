import { setTimeout as sleep } from 'node:timers/promises';
import Batch from 'kafkajs/src/consumer/batch.js';
import type { KafkaConfig } from '../../../config/log/types.ts';
import { partitionName, type StoredRecord } from '../../../ports/event-log.ts';
import type { LogReader, Range } from '../../../ports/log-reader.ts';
import { rootCause, within } from '../core/failures.ts';
import type { OnLog } from '../core/on-log.ts';
import { kafkaClient, withAdmin } from './client.ts';
import { stored } from './decode.ts';
import { type FetchCluster, fetchCluster } from './fetch-cluster.ts';
import { startOffsets } from './positions.ts';

const ADMIN_MS = 15_000;
const FETCH_MS = 15_000;
const RETRY = { retries: 3, initialRetryTime: 200, maxRetryTime: 1_000 };
/** Attempts of one fetch: enough for a leader to move. */
const TRIES = 8;
const AGAIN_MS = 500;
/** Milliseconds that the broker waits for records that should be there. */
const WAIT_MS = 200;
const FETCH_BYTES = 4 * 1024 * 1024;
/** Isolation level that leaves out the records of aborted transactions. */
const READ_COMMITTED = 1;

/** Reads topics with Fetch requests, without a group. */
export function kafkaLogReader(config: KafkaConfig, onLog: OnLog): LogReader {
  const ranges = async (topic: string, time?: number): Promise<Range[]> => {
    try {
      return await withAdmin(config, onLog, ADMIN_MS, async (admin) => {
        const bounds = await admin.fetchTopicOffsets(topic);
        const from = await startOffsets(admin, topic, time === undefined ? 'earliest' : { time });
        return bounds
          .map(({ partition, high }) => ({ topic, partition, from: from.get(partition)!, end: Number(high) }))
          .sort((a, b) => a.partition - b.partition);
      });
    } catch (error) {
      const cause = rootCause(error);
      if (typeOf(cause) === 'UNKNOWN_TOPIC_OR_PARTITION') return [];
      throw cause;
    }
  };

  return {
    ranges,
    async read(wanted, sink) {
      const client = kafkaClient(config, onLog, RETRY);
      const cluster = fetchCluster(client);
      try {
        await within(ADMIN_MS, () => cluster.connect());
        for (const range of wanted) {
          if (!(await readRange(cluster, range, ranges, sink))) return;
        }
      } catch (error) {
        throw rootCause(error);
      } finally {
        client.destroy();
      }
    },
  };
}

/** Reads one range; false when the sink wants no more. */
async function readRange(
  cluster: FetchCluster,
  range: Range,
  ranges: LogReader['ranges'],
  sink: (records: StoredRecord[]) => Promise<boolean>,
): Promise<boolean> {
  const { topic, partition, end } = range;
  await cluster.addTargetTopic(topic);
  let failures = 0;
  for (let next = range.from; next < end; ) {
    const batch = await fetchBatch(cluster, range, next).catch(rootCause);
    if (batch instanceof Error) {
      if (++failures >= TRIES) throw batch;
      if (typeOf(batch) === 'OFFSET_OUT_OF_RANGE') {
        // Retention has deleted these records, or there are none yet.
        const oldest = (await ranges(topic)).find((one) => one.partition === partition)?.from ?? end;
        next = oldest > next ? oldest : end;
      } else {
        await sleep(AGAIN_MS);
        await cluster.refreshMetadata();
      }
      continue;
    }
    const isEmpty = batch.rawMessages.length === 0;
    // Records may reach a new leader late; records that compaction deleted never come.
    if (isEmpty && ++failures < TRIES) continue;
    failures = 0;
    next = isEmpty ? end : Number(batch.lastOffset()) + 1;
    const records = batch.messages
      .map((message) => stored(topic, partition, message))
      .filter(({ offset }) => offset < end);
    if (records.length > 0 && !(await sink(records))) return false;
  }
  return true;
}

async function fetchBatch(cluster: FetchCluster, range: Range, next: number): Promise<Batch> {
  const { topic, partition } = range;
  await cluster.refreshMetadataIfNecessary();
  const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]));
  if (nodeId === undefined) throw new Error(`${partitionName(range)} has no leader`);
  const broker = await cluster.findBroker({ nodeId });
  const fetchOffset = String(next);
  const { responses } = await within(FETCH_MS, () =>
    broker.fetch({
      maxWaitTime: WAIT_MS,
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      isolationLevel: READ_COMMITTED,
      topics: [{ topic, partitions: [{ partition, fetchOffset, maxBytes: FETCH_BYTES }] }],
    }),
  );
  return new Batch(topic, fetchOffset, responses[0]!.partitions[0]!);
}

function typeOf(error: Error): string | undefined {
  return (error as { type?: string }).type;
}
