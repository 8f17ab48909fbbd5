import type { StoredRecord } from './event-log.ts';

/** Bytes of a record's key, value and headers. */
export function recordSize({ key, value, headers }: StoredRecord): number {
  let size = (key?.length ?? 0) + (value?.length ?? 0);
  for (const name in headers) size += name.length + headers[name]!.length;
  return size;
}
