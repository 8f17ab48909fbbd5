import type { DatabaseSync } from 'node:sqlite';
import { transaction } from './open.ts';
import type { Tables, Topic } from './tables.ts';

/** Limits of one step, which takes a few ms. */
const STEP_RECORDS = 200;
const STEP_BYTES = 1024 * 1024;

/** Limits of the log's records. */
export interface Retention {
  /** Milliseconds. */
  age: number;
  /** Bytes of all records together. */
  size: number;
}

/** Deletes some records over the retention, oldest first. True when there may be more to delete. */
export function retain(db: DatabaseSync, tables: Tables, { age, size }: Retention): boolean {
  const cutoff = Date.now() - age;
  for (const topic of tables.topics.values()) {
    const head = tables.oldest(topic, 1)[0];
    if (head === undefined || head.timestamp >= cutoff) continue;
    deleteSome(db, tables, topic, (record) => record.timestamp < cutoff);
    return true;
  }
  let excess = tables.bytes - size;
  if (excess <= 0) return false;
  const oldest = topicOfOldest(tables);
  if (oldest === null) return false;
  deleteSome(db, tables, oldest, ({ bytes }) => {
    const more = excess > 0;
    excess -= bytes;
    return more;
  });
  return true;
}

function topicOfOldest(tables: Tables): Topic | null {
  let found: Topic | null = null;
  let timestamp = Number.POSITIVE_INFINITY;
  for (const topic of tables.topics.values()) {
    const head = tables.oldest(topic, 1)[0];
    if (head === undefined || head.timestamp >= timestamp) continue;
    found = topic;
    timestamp = head.timestamp;
  }
  return found;
}

function deleteSome(
  db: DatabaseSync,
  tables: Tables,
  topic: Topic,
  wanted: (record: { timestamp: number; bytes: number }) => boolean,
): void {
  let first = topic.first;
  let bytes = 0;
  for (const record of tables.oldest(topic, STEP_RECORDS)) {
    if (bytes >= STEP_BYTES || !wanted(record)) break;
    first = record.offset + 1;
    bytes += record.bytes;
  }
  const changed = { ...topic, first, bytes: topic.bytes - bytes };
  transaction(db, () => {
    tables.deleteBefore(topic, first);
    tables.saveTopic(changed);
  });
  Object.assign(topic, changed);
}
