import type { DecodedEvent, IncomingEvent } from '../core/event.ts';
import { ErrorBudget, type SchemaSet } from '../schema/registry.ts';
import type { Decoding, Source } from './formats/source.ts';
import { schemaErrors } from './validate.ts';

export interface JudgeOptions {
  source: Source;
  schemas: SchemaSet;
  /** The device that signed them; null when none has. */
  device: string | null;
  /** The sender: a key's id, a token's subject or a device; null when it is not known. */
  who: string | null;
  /** The client's address, null when it is not known; undefined: events get none. */
  address: string | null | undefined;
  /** Resolves when other requests that wait have had their turn. */
  turn(): Promise<void>;
}

/** Milliseconds of work on one request after which the others get their turn. */
const SLICE_MS = 2;
/** Bytes of payload after which the clock is read. Each event counts `EVENT_BYTES` more, a step without one `STEP_BYTES`. */
const SLICE_BYTES = 64 * 1024;
const EVENT_BYTES = 512;
const STEP_BYTES = 16 * 1024;

/**
 * Takes the events of a request one by one and judges each at once: its parsed form is let go before the next one is
 * made, so that of all requests only one event is parsed at a time. Gives no promise when nobody has to wait. Throws or
 * rejects with RequestError.
 */
export function judgeAll(
  events: Decoding,
  options: JudgeOptions,
): IncomingEvent[] | Promise<IncomingEvent[]> {
  const judging = new Judging(events[Symbol.iterator](), options);
  return judging.work() ? judging.judged : judging.workInTurns();
}

class Judging {
  readonly judged: IncomingEvent[] = [];
  readonly #events: Iterator<DecodedEvent | null>;
  readonly #options: JudgeOptions;
  /** Null when there is nothing to add of the sender. */
  readonly #sender: Sender | null;
  readonly #budget = new ErrorBudget();
  /** When this slice of the work began; 0: not known yet. */
  #started = 0;

  constructor(events: Iterator<DecodedEvent | null>, options: JudgeOptions) {
    const { source, device, who, address = null } = options;
    const owner = source.config.identity === 'key' ? who : null;
    const isKnown = device !== null || owner !== null || address !== null;
    this.#events = events;
    this.#options = options;
    this.#sender = isKnown ? { device, owner, address } : null;
  }

  /** Works until all is judged (true), or others should have a turn (false). */
  work(): boolean {
    let bytes = 0;
    for (let next = this.#events.next(); !next.done; next = this.#events.next()) {
      bytes += next.value === null ? STEP_BYTES : EVENT_BYTES + this.#take(next.value);
      if (bytes < SLICE_BYTES) continue;
      bytes = 0;
      const now = performance.now();
      if (this.#started === 0) this.#started = now;
      else if (now - this.#started >= SLICE_MS) return false;
    }
    return true;
  }

  async workInTurns(): Promise<IncomingEvent[]> {
    do {
      await this.#options.turn();
      this.#started = performance.now();
    } while (!this.work());
    return this.judged;
  }

  /** Judges an event; returns the bytes of its data. */
  #take(decoded: DecodedEvent): number {
    const { source, schemas } = this.#options;
    const event = judge(decoded, source, schemas, this.#budget);
    this.judged.push(this.#sender === null ? event : withSender(event, source.uri, this.#sender));
    return event.data?.length ?? 0;
  }
}

/** The event with the errors of its schema. `budget` is for all events of the request. */
export function judge(
  decoded: DecodedEvent,
  source: Source,
  schemas: SchemaSet,
  budget: ErrorBudget,
): IncomingEvent {
  const { event } = decoded;
  if (event.errors.length > 0) return event;
  const errors = schemaErrors(decoded, source, schemas, budget);
  return errors.length === 0 ? event : { ...event, errors };
}

interface Sender {
  device: string | null;
  /** Keeps its ids apart from those of other senders; null: ids are the source's. */
  owner: string | null;
  address: string | null;
}

/**
 * The event with the sender in its attributes and its identity. Readers of the log tell events apart by `source` and
 * `id`, so the owner is added to the gateway's own source. No client can set that source.
 */
function withSender(event: IncomingEvent, uri: string, { device, owner, address }: Sender): IncomingEvent {
  const headers = { ...event.headers };
  let { identity } = event;
  if (device !== null) {
    headers.ce_device = device;
    if (identity !== '') identity += `\n${device}`;
  }
  if (owner !== null) {
    const source = headers.ce_source;
    if (source === uri || source?.startsWith(`${uri}/`))
      headers.ce_source = `${uri}/${encodeURIComponent(owner.toWellFormed())}`;
    // Ids have no line breaks, so two identities never meet.
    if (identity !== '') identity += `\nk${owner.length}:${owner}`;
  }
  if (address !== null) headers.ce_clientip = address;
  return { ...event, headers, identity };
}
