import type { DecodedEvent } from '../core/event.ts';
import { ErrorBudget, type SchemaSet } from '../schema/registry.ts';
import { markOwner } from './admission/owner.ts';
import type { Decoding, Source } from './formats/source.ts';
import { markDevice } from './signature/device.ts';
import { validateEvent } from './validate.ts';

/** What is known of the events of one request besides themselves. */
export interface JudgeOptions {
  source: Source;
  schemas: SchemaSet;
  /** That signed them; null: none has. */
  device: string | null;
  /** Who sent them, as far as that is known. */
  who: string | null;
  /** Address of their client, null when that cannot be told; undefined: events get none. */
  address: string | null | undefined;
  /** Resolves when all else that waits has had its turn. */
  turn(): Promise<void>;
}

/** Milliseconds of work on one request after which the others get their turn. */
const SLICE_MS = 2;
/** Bytes of payload after which the clock is looked at. Each event counts `EVENT_BYTES` more, a step without one `STEP_BYTES`. */
const SLICE_BYTES = 64 * 1024;
const EVENT_BYTES = 512;
const STEP_BYTES = 16 * 1024;

/**
 * Makes the events of a request one by one and judges each at once: what was parsed of it is let go before the next is
 * made, so that of all requests only one event is parsed at a time. Gives no promise when nobody has to wait. Throws
 * or rejects with RequestError.
 */
export function judgeAll(events: Decoding, options: JudgeOptions): DecodedEvent[] | Promise<DecodedEvent[]> {
  const judging = new Judging(events[Symbol.iterator](), options);
  return judging.work() ? judging.judged : judging.workInTurns();
}

class Judging {
  readonly judged: DecodedEvent[] = [];
  readonly #events: Iterator<DecodedEvent | null>;
  readonly #options: JudgeOptions;
  readonly #budget = new ErrorBudget();
  /** When this slice of the work began; 0: not known yet. */
  #started = 0;

  constructor(events: Iterator<DecodedEvent | null>, options: JudgeOptions) {
    this.#events = events;
    this.#options = options;
  }

  /** Works until all is judged (true), or others should have a turn (false). */
  work(): boolean {
    let bytes = 0;
    for (let next = this.#events.next(); !next.done; next = this.#events.next()) {
      const event = next.value;
      if (event !== null) this.#take(event);
      bytes += event === null ? STEP_BYTES : EVENT_BYTES + (event.data?.length ?? 0);
      if (bytes < SLICE_BYTES) continue;
      bytes = 0;
      const now = performance.now();
      if (this.#started === 0) this.#started = now;
      else if (now - this.#started >= SLICE_MS) return false;
    }
    return true;
  }

  async workInTurns(): Promise<DecodedEvent[]> {
    do {
      await this.#options.turn();
      this.#started = performance.now();
    } while (!this.work());
    return this.judged;
  }

  #take(event: DecodedEvent): void {
    const { source, schemas, device, who, address } = this.#options;
    judge(event, source, schemas, this.#budget);
    if (device !== null) markDevice(event, device);
    if (who !== null && source.config.identity === 'key') markOwner(event, source.uri, who);
    if (address !== undefined) markAddress(event, address);
    this.judged.push(event);
  }
}

/** Gives an event its errors, and lets its parsed form go. `budget` is of all events of the request. */
export function judge(event: DecodedEvent, source: Source, schemas: SchemaSet, budget: ErrorBudget): void {
  if (event.errors.length === 0) validateEvent(event, source, schemas, budget);
  event.json = undefined;
}

/** What a client says of its own address does not stand. */
function markAddress({ headers }: DecodedEvent, address: string | null): void {
  if (address === null) delete headers.ce_clientip;
  else headers.ce_clientip = address;
}
