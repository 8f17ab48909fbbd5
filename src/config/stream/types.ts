/** Streams as the code uses them: durations in milliseconds. */

export type WindowConfig =
  | { tumbling: number }
  /** Windows of `size`, one beginning each `every`. */
  | { sliding: number; every: number }
  /** Ends when nothing has come for so long. */
  | { session: number }
  /** So many events of a key. */
  | { count: number };

export interface StreamConfig {
  name: string;
  /** Consumer group. */
  group: string;
  topics: string[];
  from: 'earliest' | 'latest';
  /** CEL, or null for every event. */
  filter: string | null;
  /** JSON Pointer into the data, or null: the record's key. */
  key: string | null;
  window: WindowConfig;
  /** What decides to which window an event belongs: its `time` attribute, or when the log took it. */
  time: 'event' | 'arrival';
  /** Milliseconds that an event may come after later ones. */
  lateness: number;
  /** Milliseconds without events after which a partition's windows close by the clock. */
  idle: number;
  /** Windows of a partition that may be open at once; of sliding ones, panes. */
  maxOpenWindows: number;
  /** Names of results, and the aggregate that makes each: `count()`, `sum(event.data.total)`. */
  aggregate: Record<string, string>;
  /** CEL over the results by name; null: every window. */
  having: string | null;
  emit: { on: 'close' | 'threshold'; topic: string; type: string };
}
