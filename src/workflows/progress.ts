import type { Failure, InstanceOutcome, State } from './state.ts';

/** The content of one record of the progress topic, about one instance. */
export type Progress =
  /** An event, in the JSON format of CloudEvents, begins the instance. */
  | { kind: 'started'; event: string; source: string; trace: Record<string, string> }
  /** An event for a step that waits. */
  | { kind: 'arrived'; step: string; event: string }
  /** A call of a step's function, or of its undo, has ended. */
  | CallEnded
  /** A step, begun by the record at offset `at`, waited for too long; with null: the workflow took too long. */
  | { kind: 'expired'; step: string | null; at: number }
  /** A person wants failed undos to be tried again, or the instance to be undone. */
  | { kind: 'retry' }
  | { kind: 'cancel' }
  /** A person ends the instance as it is: the undos that failed in this round are not tried again. */
  | { kind: 'leave'; round: number }
  /** The event that it failed is published. */
  | { kind: 'told'; round: number }
  /** The event with its outcome is published. There is nothing more to do. */
  | { kind: 'ended'; outcome: InstanceOutcome }
  /** The state after all records before, which are no longer needed. */
  | { kind: 'state'; state: State };

export interface CallEnded {
  kind: 'called';
  step: string;
  undo: boolean;
  /** It can be undone, by the config at the time of the call. */
  undoable: boolean;
  round: number;
  /** Null when it is done. */
  failure: Failure | null;
  /** It failed, but it may have been done anyway. */
  unsure: boolean;
  /** The function's reply as JSON text; null: none. */
  result: string | null;
}

/** The offset and time of a stored record. */
export interface RecordPosition {
  offset: number;
  /** Milliseconds since 1970. */
  time: number;
}
