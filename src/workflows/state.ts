/**
 * `expected`: an event for one of its steps came before the event that begins it. `ending`: its outcome is set, but not
 * published yet. `failed`: an undo failed, and a person must decide.
 */
export type Status = 'expected' | 'running' | 'undoing' | 'failed' | 'ending' | 'ended';

/** The outcome of an instance. */
export type InstanceOutcome = 'done' | 'undone' | 'failed';

/** Why an instance failed; `reason` is a fixed word, `detail` is for people. */
export interface Failure {
  /** Null: no step caused it. */
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
  /** It failed without a clear answer, so it may have been done anyway. */
  unsure: boolean;
}

/** An event, in the JSON format, that came for a step which does not wait yet. */
interface Arrival {
  step: string;
  event: string;
}

/** The state of an instance, as its records in the progress topic give it. It is stored as JSON. */
export interface State {
  id: string;
  status: Status;
  /** Set when the status is `ending` or `ended`. */
  outcome: InstanceOutcome | null;
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
  /** How often a person had failed undos tried again. Answers of earlier rounds do not count. */
  round: number;
  /** The event that it failed in this round is published. */
  told: boolean;
  /** Offset of its last record that this state includes. */
  upto: number;
}

/** The state of an instance of which only the id is known. */
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

/** The state of a step; undefined when it was not begun. A name may also be that of a member of Object.prototype. */
export function stepOf({ steps }: Pick<State, 'steps'>, name: string): StepState | undefined {
  return Object.hasOwn(steps, name) ? steps[name] : undefined;
}

/** Characters that an instance carries. */
export function sizeOf({ input, results, arrivals }: State): number {
  let size = input.length;
  for (const name in results) size += results[name]!.length;
  for (const { event } of arrivals) size += event.length;
  return size;
}
