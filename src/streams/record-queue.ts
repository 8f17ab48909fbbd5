import type { StoredRecord } from '../ports/event-log.ts';

/** A queue of records, kept in the batches that they were read in. */
export class RecordQueue {
  #batches: StoredRecord[][] = [];
  #at = 0;
  length = 0;

  push(records: StoredRecord[]): void {
    this.#batches.push(records);
    this.length += records.length;
  }

  /** Takes up to `most` records, the oldest first. */
  take(most: number, each: (record: StoredRecord) => void): void {
    for (let left = most; left > 0 && this.#batches.length > 0; ) {
      const batch = this.#batches[0]!;
      const to = Math.min(batch.length, this.#at + left);
      for (let i = this.#at; i < to; i++) each(batch[i]!);
      left -= to - this.#at;
      this.length -= to - this.#at;
      this.#at = to;
      if (to < batch.length) return;
      this.#batches.shift();
      this.#at = 0;
    }
  }
}
