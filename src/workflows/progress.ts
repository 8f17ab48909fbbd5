import type { Failure, Outcome, State } from './state.ts';

/** What one record of the progress topic says of an instance. */
export type Progress =
  /** An event begins it: in the JSON format of CloudEvents. */
  | { kind: 'started'; event: string; source: string; trace: Record<string, string> }
  /** An event for a step that waits. */
  | { kind: 'arrived'; step: string; event: string }
  /** What came of a step's function, or of its undo. */
  | CallEnded
  /** A step waited for too long (the one begun by the record at offset `at`), or with null the whole took too long. */
  | { kind: 'expired'; step: string | null; at: number }
  /** People want what failed to be tried again, or the whole to be undone. */
  | { kind: 'retry' }
  | { kind: 'cancel' }
  /** People leave it at that: what failed in this round is not tried again. */
  | { kind: 'leave'; round: number }
  /** It is told that it failed. */
  | { kind: 'told'; round: number }
  /** Its outcome is told; there is nothing more to do. */
  | { kind: 'ended'; outcome: Outcome }
  /** All that the records before said, so that they are needed no more. */
  | { kind: 'state'; state: State };

export interface CallEnded {
  kind: 'called';
  step: string;
  undo: boolean;
  /** What it did can be undone, as the config was when it was called. */
  undoable: boolean;
  round: number;
  /** Null when it is done. */
  failure: Failure | null;
  /** Of one that failed: it may have been done all the same. */
  unsure: boolean;
  /** What the function answered, as JSON text; null: nothing. */
  result: string | null;
}

/** Where and when a record was stored. */
export interface Place {
  offset: number;
  /** Milliseconds since 1970. */
  time: number;
}
