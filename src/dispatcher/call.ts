import type { StoredRecord } from '../ports/event-log.ts';
import type { Holding } from './commits.ts';
import type { Answer } from './conclude.ts';
import type { Caller, Invocation } from './invoke/invoker.ts';

/** One event on its way to a function. */
export interface Delivery {
  /** Of a redriven event as it was at first, so that its topic and offset are not those of the holding. */
  record: StoredRecord;
  holding: Holding;
  /** Its place in the holding. */
  offset: number;
  /** Bytes, about. */
  size: number;
  /** When it came, on the monotonic clock in milliseconds. */
  arrived: number;
  /** What it is remembered by once it is delivered; empty when it is not. */
  identity: string;
}

/** A record that has just come, and its place in the holding; `arrived` is the monotonic clock's time in milliseconds. */
export function deliveryOf(
  record: StoredRecord,
  holding: Holding,
  offset: number,
  arrived: number,
): Delivery {
  return { record, holding, offset, size: recordSize(record), arrived, identity: '' };
}

/** Bytes of a record's key, value and headers. */
export function recordSize({ key, value, headers }: StoredRecord): number {
  let size = (key?.length ?? 0) + (value?.length ?? 0);
  for (const name in headers) size += name.length + headers[name]!.length;
  return size;
}

/** Events that are sent together, over all attempts. */
export class Call implements Caller {
  readonly deliveries: readonly Delivery[];
  readonly records: readonly StoredRecord[];
  readonly #concluded: (call: Call) => void;
  /** Attempts begun, without those that cost none. */
  attempts = 0;
  /** A stale connection may be tried again once per attempt. */
  fresh = true;
  /** When the first attempt began, in milliseconds since 1970. */
  firstTime = 0;
  answer: Answer | null = null;
  invocation: Invocation | null = null;
  timer: NodeJS.Timeout | null = null;

  constructor(deliveries: readonly Delivery[], concluded: (call: Call) => void) {
    this.deliveries = deliveries;
    this.records = deliveries.map(({ record }) => record);
    this.#concluded = concluded;
  }

  answered(answer: Answer): void {
    this.answer = answer;
    this.invocation = null;
    this.#concluded(this);
  }
}
