/** How one instance of a workflow stands, as its records in the progress topic say. Plain JSON: it is stored as it is. */

/**
 * `expected`: an event for it came before the one that begins it. `ending`: its outcome is fixed, but not told yet.
 * `failed`: what was done could not all be undone, and people must see to it.
 */
export type Status = 'expected' | 'running' | 'undoing' | 'failed' | 'ending' | 'ended';

/** What became of an instance. */
export type Outcome = 'done' | 'undone' | 'failed';

/** Why it does not go on; `reason` is a fixed word, `detail` is for people. */
export interface Failure {
  /** Null: no step is to blame. */
  step: string | null;
  reason: string;
  detail: string;
}

/** A step that was begun, or skipped. */
export interface StepState {
  state: 'running' | 'waiting' | 'done' | 'skipped' | 'failed' | 'undoing' | 'undone' | 'undo_failed';
  /** When it began, in milliseconds since 1970, and the offset of the record that began it. */
  since: number;
  at: number;
  /** It can be undone. */
  undo: boolean;
  /** Of one that failed: it may have been done all the same, as no clear answer came. */
  unsure: boolean;
}

/** An event that came for a step which does not wait yet: the event in the JSON format. */
interface Arrival {
  step: string;
  event: string;
}

export interface State {
  id: string;
  status: Status;
  /** Of one that is `ending` or `ended`. */
  outcome: Outcome | null;
  /** The event that began it, in the JSON format of CloudEvents; its numbers are as they were sent. */
  input: string;
  /** CloudEvents source of that event. */
  source: string;
  /** Trace context of that event, as record headers. */
  trace: Record<string, string>;
  /** When it began, in milliseconds since 1970. */
  began: number;
  steps: Record<string, StepState>;
  /** JSON texts by the names of steps. */
  results: Record<string, string>;
  arrivals: Arrival[];
  failure: Failure | null;
  /** How often people had what failed tried again: answers from before do not count. */
  round: number;
  /** It is told that it failed in this round. */
  told: boolean;
  /** Offset of the last of its records that is part of this. */
  upto: number;
}

/** One that nothing is known of but its id. */
export function emptyState(id: string): State {
  return {
    id,
    status: 'expected',
    outcome: null,
    input: '',
    source: '',
    trace: {},
    began: 0,
    steps: {},
    results: {},
    arrivals: [],
    failure: null,
    round: 0,
    told: false,
    upto: -1,
  };
}

/** What is known of a step; undefined when it was not begun. Names may be those of any object's members. */
export function stepOf({ steps }: Pick<State, 'steps'>, name: string): StepState | undefined {
  return Object.hasOwn(steps, name) ? steps[name] : undefined;
}

/** Characters of what an instance carries. */
export function sizeOf({ input, results, arrivals }: State): number {
  let size = input.length;
  for (const name in results) size += results[name]!.length;
  for (const { event } of arrivals) size += event.length;
  return size;
}
