/** Part of a stream's state: one partition of what it reads. */
export interface StreamPart {
  stream: string;
  partition: string;
}

/** Changes of a part, all or nothing. */
export interface WindowChange {
  /** Entries by name, which is not empty; null: the entry goes. */
  entries: ReadonlyMap<string, string | null>;
  /** What the part's mark must be for the change to be made; null: there is none yet. */
  expected: string | null;
  /** What it is after the change: how far the part has read, so that nothing counts twice. Not empty. */
  mark: string;
  /** Milliseconds after which the part is forgotten when nothing changes it. */
  life: number;
}

/**
 * The state of streams between batches. Each part has one writer, and a mark that tells it from one that was the
 * writer before: whoever finds another mark than the one it wrote is no longer the writer. All methods reject with
 * `StoreUnavailable` when the store gives no answer in time; the change may have been made then, and may be
 * asked for again.
 */
export interface WindowStore {
  /** The mark and all entries of a part; the mark is null when nothing is known of it. */
  load(part: StreamPart): Promise<{ mark: string | null; entries: Map<string, string> }>;
  /**
   * Makes the changes, one for each part; false where the mark was another. True also where it is the new one
   * already: then the change was made before.
   */
  change(changes: readonly (StreamPart & WindowChange)[]): Promise<boolean[]>;
  close(): Promise<void>;
}
