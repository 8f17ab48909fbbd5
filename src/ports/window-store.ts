/** Part of a stream's state: that of one partition which the stream reads. */
export interface StreamPart {
  stream: string;
  partition: string;
}

/** Changes of a part, all or nothing. */
export interface WindowChange {
  /** Entries by name, which is not empty; null deletes the entry. */
  entries: ReadonlyMap<string, string | null>;
  /** The mark that the part must have, else the change is not made; null: it has none yet. */
  expected: string | null;
  /** The mark after the change: how far the part has read, so that no event counts twice. Not empty. */
  mark: string;
  /** Milliseconds after which a part without changes is forgotten. */
  life: number;
}

/**
 * The state of streams between batches. Each part has one writer at a time, and a mark. A writer that finds another
 * mark than the one it wrote knows that a new writer has taken over. `load` and `change` reject with `StoreUnavailable`
 * when the store gives no answer in time; a change may have been made then, and may be asked for again.
 */
export interface WindowStore {
  /** The mark and all entries of a part; the mark is null when the store does not know the part. */
  load(part: StreamPart): Promise<{ mark: string | null; entries: Map<string, string> }>;
  /**
   * Makes the changes, at most one for each part, each all or nothing. False where the part had another mark. True also
   * where it has the new mark already: then the change was made before.
   */
  change(changes: readonly (StreamPart & WindowChange)[]): Promise<boolean[]>;
  close(): Promise<void>;
}
