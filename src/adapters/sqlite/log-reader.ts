import type { LogReader, Range } from '../../ports/log-reader.ts';
import type { Tables } from './tables.ts';

/** Limits of one step, so that it holds the event loop for a few ms at most. */
const BATCH_RECORDS = 500;
const BATCH_BYTES = 4 * 1024 * 1024;

/** The range of a topic's one partition; none when there is no such topic. */
export function rangesOf(tables: Tables, name: string, time?: number): Range[] {
  // Not `tables.topic`: that makes a missing topic.
  const topic = tables.topics.get(name);
  if (topic === undefined) return [];
  const from = tables.startOf(topic, time === undefined ? 'earliest' : { time });
  return [{ topic: name, partition: 0, from, end: topic.next }];
}

/** Gives the records of each range to the sink, with a turn of the event loop between batches. */
export async function readRanges(
  tables: Tables,
  ranges: readonly Range[],
  sink: Parameters<LogReader['read']>[1],
): Promise<void> {
  for (const range of ranges) {
    const topic = tables.topics.get(range.topic);
    if (topic === undefined || range.partition !== 0) continue;
    for (let next = range.from; next < range.end; ) {
      const records = tables
        .read(topic, range, next, BATCH_RECORDS, BATCH_BYTES)
        .filter(({ offset }) => offset < range.end);
      if (records.length === 0) break;
      next = records.at(-1)!.offset + 1;
      if (!(await sink(records))) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
