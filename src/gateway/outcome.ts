import { type EventError, type JudgedEvent, NO_ERRORS, type Verdict } from '../core/event.ts';
import type { Source } from './formats/source.ts';

/** The verdicts on a request's events: how many of each, and the events that were not accepted. */
export interface Outcome {
  counts: Readonly<Record<Verdict, number>>;
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

export const NO_VERDICTS: Readonly<Record<Verdict, number>> = {
  accepted: 0,
  duplicate: 0,
  rejected: 0,
  retry: 0,
};

export const NOT_STORED: EventError = { code: 'log_unavailable', detail: 'not stored; send it again' };

const BATCH_REFUSED: EventError = { code: 'batch_refused', detail: 'another event of the batch was refused' };

export function isGood({ errors }: JudgedEvent): boolean {
  return errors.length === 0;
}

export function eventOutcome(
  { index, line, id }: JudgedEvent,
  verdict: Verdict,
  errors: readonly EventError[] = NO_ERRORS,
  changed = false,
): EventOutcome {
  return { index, line, id, verdict, changed, errors };
}

/** The outcome when an all-or-nothing source refuses the request, else null. */
export function refusedBatch(events: JudgedEvent[], source: Source): Outcome | null {
  if (source.config.batch !== 'all-or-nothing' || events.every(isGood)) return null;
  return { ...rejected(events), refused: true };
}

/** The outcome when no event of the request may come in, else null. */
export function refusedWhole(events: JudgedEvent[], source: Source): Outcome | null {
  return refusedBatch(events, source) ?? (events.some(isGood) ? null : rejected(events));
}

/** The outcome when it is not known that anything is stored. */
export function unstored(events: JudgedEvent[]): Outcome {
  return outcomeOf('retry', events, () => [NOT_STORED]);
}

function rejected(events: JudgedEvent[]): Outcome {
  return outcomeOf('rejected', events, (event) => (isGood(event) ? [BATCH_REFUSED] : event.errors));
}

function outcomeOf(
  verdict: Verdict,
  events: JudgedEvent[],
  errorsOf: (event: JudgedEvent) => readonly EventError[],
): Outcome {
  return {
    counts: { ...NO_VERDICTS, [verdict]: events.length },
    events: events.map((event) => eventOutcome(event, verdict, errorsOf(event))),
    refused: false,
  };
}
