/** An action that is running for an instance. */
export interface Task {
  key: string;
  /** Do not try it again. */
  hurry(): void;
  /** Stop it: it is no longer wanted. */
  drop(): void;
}

/** A task that is over when its record is read, and cannot be stopped. */
export function plainTask(key: string): Task {
  return { key, hurry: nothing, drop: nothing };
}

function nothing(): void {}
