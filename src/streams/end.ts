import type { Partition } from '../ports/event-log.ts';
import type { LogReader } from '../ports/log-reader.ts';

/** Whether the log holds no record of a partition at the offset `next` or later. Rejects when it does not answer. */
export async function isAtEnd(
  reader: LogReader,
  { topic, partition }: Partition,
  next: number,
): Promise<boolean> {
  const range = (await reader.ranges(topic)).find((one) => one.partition === partition);
  if (range === undefined) return false;
  const from = Math.max(range.from, next);
  if (from >= range.end) return true;
  // The last offset may be a mark of a transaction, after the last record.
  let isEmpty = true;
  await reader.read([{ ...range, from }], async () => {
    isEmpty = false;
    return false;
  });
  return isEmpty;
}
