import { type DecodedEvent, type IncomingEvent, NO_ERRORS } from '../core/event.ts';
import { ErrorBudget, type SchemaSet } from '../schema/registry.ts';
import type { Decoding, Source } from './formats/source.ts';
import { schemaErrors } from './validate.ts';

/** What is known of the events of one request besides themselves. */
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
  const { source, schemas, device, who, address = null } = options;
  const judge = makeJudge(source, schemas);
  const sender = { device, owner: source.config.identity === 'key' ? who : null, address };
  const isMarked = device !== null || sender.owner !== null || address !== null;
  const judged: IncomingEvent[] = [];
  const iterator = events[Symbol.iterator]();
  let started = 0;

  /** Works until all is judged (true), or others should have a turn (false). */
  function work(): boolean {
    let bytes = 0;
    for (let next = iterator.next(); !next.done; next = iterator.next()) {
      if (next.value === null) bytes += STEP_BYTES;
      else {
        const event = judge(next.value);
        judged.push(isMarked ? withSender(event, source.uri, sender) : event);
        bytes += EVENT_BYTES + (event.data?.length ?? 0);
      }
      if (bytes < SLICE_BYTES) continue;
      bytes = 0;
      const now = performance.now();
      if (started === 0) started = now;
      else if (now - started >= SLICE_MS) return false;
    }
    return true;
  }

  async function workInTurns(): Promise<IncomingEvent[]> {
    do {
      await options.turn();
      started = performance.now();
    } while (!work());
    return judged;
  }

  return work() ? judged : workInTurns();
}

/** Makes the function that checks the events of one request against their schemas. */
export function makeJudge(source: Source, schemas: SchemaSet): (event: DecodedEvent) => IncomingEvent {
  const budget = new ErrorBudget();
  return (decoded) => {
    const { event } = decoded;
    const errors = event.errors.length > 0 ? NO_ERRORS : schemaErrors(decoded, source, schemas, budget);
    return errors.length === 0 ? event : { ...event, errors };
  };
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
