/** Streams as the code uses them: durations in milliseconds. */

export type WindowConfig =
  | { tumbling: number }
  /** Length of the windows, and time from the start of one to the next. */
  | { sliding: number; every: number }
  /** Time without events after which a window ends. */
  | { session: number }
  /** Events of a key in one window. */
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
  /** Time that decides the window of an event: its attribute `time`, or when the log stored it. */
  time: 'event' | 'arrival';
  /** Milliseconds that an event may be later than newer events. */
  lateness: number;
  /** Milliseconds without events after which a partition's windows close by the clock. */
  idle: number;
  /** Most open windows of a partition. For sliding windows, most open panes. */
  maxOpenWindows: number;
  /** Aggregates by the name of their result, such as `count()` or `sum(event.data.total)`. */
  aggregate: Record<string, string>;
  /** CEL over the results; null: every window emits. */
  having: string | null;
  emit: { on: 'close' | 'threshold'; topic: string; type: string };
}
