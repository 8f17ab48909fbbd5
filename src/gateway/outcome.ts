import { type EventError, eventError, type IncomingEvent, type Verdict } from '../core/event.ts';
import type { Source } from './formats/source.ts';

export type Counts = Readonly<Record<Verdict, number>>;

/** The verdicts on a request's events: how many of each, and the events that were not accepted. */
export interface Outcome {
  counts: Counts;
  events: EventOutcome[];
  /** Nothing was stored, nor kept as rejected: an all-or-nothing source refused the request. */
  refused: boolean;
}

/** One event that was not accepted. */
export interface EventOutcome {
  index: number;
  line: number | null;
  id: string;
  verdict: Verdict;
  /** A duplicate whose payload differs from the one stored. */
  changed: boolean;
  errors: readonly EventError[];
}

export const NO_VERDICTS: Counts = { accepted: 0, duplicate: 0, rejected: 0, retry: 0 };
export const NOT_STORED = eventError('log_unavailable', 'not stored; send it again');
const BATCH_REFUSED = eventError('batch_refused', 'another event of the batch was refused');

export function isGood({ errors }: IncomingEvent): boolean {
  return errors.length === 0;
}

export function eventOutcome(
  { index, line, id }: IncomingEvent,
  verdict: Verdict,
  errors: readonly EventError[],
  changed = false,
): EventOutcome {
  return { index, line, id, verdict, changed, errors };
}

/** The outcome when an all-or-nothing source refuses the request, else null. */
export function refusedBatch(events: IncomingEvent[], source: Source): Outcome | null {
  if (source.config.batch !== 'all-or-nothing' || events.every(isGood)) return null;
  return { ...rejected(events), refused: true };
}

/** The outcome when no event of the request may come in, else null. */
export function refusedWhole(events: IncomingEvent[], source: Source): Outcome | null {
  return refusedBatch(events, source) ?? (events.some(isGood) ? null : rejected(events));
}

/** The outcome when it is not known that anything is stored. */
export function unstored(events: IncomingEvent[]): Outcome {
  const outcomes = events.map((event) => eventOutcome(event, 'retry', [NOT_STORED]));
  return { counts: { ...NO_VERDICTS, retry: events.length }, events: outcomes, refused: false };
}

function rejected(events: IncomingEvent[]): Outcome {
  const outcomes = events.map((event) =>
    eventOutcome(event, 'rejected', isGood(event) ? [BATCH_REFUSED] : event.errors),
  );
  return { counts: { ...NO_VERDICTS, rejected: events.length }, events: outcomes, refused: false };
}
