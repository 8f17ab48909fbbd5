/** Something that is being done for an instance. */
export interface Task {
  key: string;
  /** It is not to be tried again. */
  hurry(): void;
  /** It is no longer wanted. */
  drop(): void;
}

/** A task that only waits for its record to be read. */
export function plainTask(key: string): Task {
  return { key, hurry: nothing, drop: nothing };
}

function nothing(): void {}
