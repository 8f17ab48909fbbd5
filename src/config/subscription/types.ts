import type { FunctionConfig } from '../function/types.ts';

/** Subscriptions as the code uses them: durations in milliseconds, sizes in bytes, secrets read. */

/** A filter of the CloudEvents Subscriptions API, section 3.2.4: attributes and the values that they must have. */
export type AttributeFilter =
  | { exact: Record<string, string> }
  | { prefix: Record<string, string> }
  | { suffix: Record<string, string> }
  | { all: AttributeFilter[] }
  | { any: AttributeFilter[] }
  | { not: AttributeFilter };

export interface SubscriptionConfig {
  name: string;
  /** Consumer group. */
  group: string;
  topics: string[];
  from: 'earliest' | 'latest';
  /** CEL, or null for every event. */
  filter: string | null;
  /** All of them must match, as well as `filter`. */
  filters: AttributeFilter[];
  function: FunctionConfig;
  /** Milliseconds for one call. */
  timeout: number;
  /** Calls at once. */
  concurrency: number;
  /** Calls a second; null: no limit. */
  rate: number | null;
  /** `key`: events with the same key are delivered one after the other. */
  order: 'key' | 'none';
  /** For functions that take many events. A call is made at `events` events, after `wait` ms, or at `size` bytes. */
  batch: { events: number; wait: number; size: number };
  /** Attempts in all (1: no retry). The wait doubles from `min` to `max` ms, with full jitter. */
  retry: { attempts: number; min: number; max: number };
  /** Milliseconds after the first attempt of an event after which no other begins; null: no limit. */
  retryAge: number | null;
  /** Milliseconds for which delivered events are remembered, so that a crash does not repeat them; null: they are not. */
  dedupe: number | null;
  /** Topic for events that cannot be delivered. */
  deadLetter: string;
  /** Topic of dead letters that are to be delivered again; null: there is none. */
  redrive: string | null;
  /** Topic for the events in the function's replies; null: none. */
  reply: string | null;
  /** Milliseconds without a call after which the function is called to keep an instance warm; null: never. */
  warm: number | null;
}
