import type { StoredRecord } from '../../src/ports/event-log.ts';
import type { LogReader } from '../../src/ports/log-reader.ts';
import { until } from '../services/until.ts';

/** Everything that a topic of this log holds now; nothing of a topic that is not there. */
export async function readTopic(log: LogReader, topic: string): Promise<StoredRecord[]> {
  const seen: StoredRecord[] = [];
  await log.read(await log.ranges(topic), async (records) => {
    seen.push(...records);
    return true;
  });
  return seen;
}

/** The same as soon as there are `count` records or more. */
export async function awaitRecords(log: LogReader, topic: string, count: number): Promise<StoredRecord[]> {
  let seen: StoredRecord[] = [];
  await until(
    `${topic} has ${count} records`,
    async () => {
      seen = await readTopic(log, topic);
      return seen.length >= count;
    },
    { every: 10 },
  );
  return seen;
}
