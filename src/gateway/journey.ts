import type { Context } from 'hono';
import { RequestError } from '../core/errors.ts';
import type { IncomingEvent } from '../core/event.ts';
import type { Relay } from '../ports/relay.ts';
import type { Report, RequestFact } from '../ports/report.ts';
import type { Tracing } from '../ports/tracing.ts';
import type { Admission, GuardedSource } from './admission/admit.ts';
import { type Head, headOf } from './body/head.ts';
import type { CommitGroups } from './commit/group.ts';
import { NO_VERDICTS, type Outcome } from './outcome.ts';
import type { Protocol } from './protocols/protocol.ts';
import { type ReaderOptions, RequestReader, type RequestState } from './reader.ts';
import { forwardToOrigin } from './relay/forward.ts';
import { problemReply, type Reply } from './reply.ts';
import { store } from './store.ts';
import { endRequestSpan, requestSpan } from './trace.ts';

export interface JourneyOptions extends ReaderOptions {
  groups: Map<string, CommitGroups>;
  /** Forwards requests instead of storing their events; null: they are stored here. */
  relay: Relay | null;
  report: Report;
  /** Null when nobody traces. */
  tracing: Tracing | null;
}

/** The reply to one request, and its source and sender as far as they are known. */
export interface Answered {
  reply: Reply;
  guarded: GuardedSource | null;
  admission: Admission | null;
}

/** Takes requests from their head to their reply; each is reported once. */
export class Journey {
  readonly #options: JourneyOptions;
  readonly #reader: RequestReader;

  constructor(options: JourneyOptions) {
    this.#options = options;
    this.#reader = new RequestReader(options);
  }

  /** Does not reject. */
  async run(c: Context, protocol: Protocol): Promise<Answered> {
    const { platform, report, tracing } = this.#options;
    const started = performance.now();
    const state: RequestState = { guarded: null, admission: null, reservation: null, span: null, sent: null };
    let verdicts = NO_VERDICTS;
    let fault: RequestError | null = null;
    let reply: Reply;
    try {
      const head = headOf(c, platform);
      if (tracing !== null) state.span = requestSpan(tracing, c, head);
      const read = await this.#reader.read({ c, head, protocol }, state);
      const outcome = Array.isArray(read) ? await this.#finish(read, c, head, protocol, state) : read;
      if ('counts' in outcome) {
        verdicts = outcome.counts;
        reply = protocol.reply(outcome, head, state.admission!.guarded.source);
      } else reply = outcome;
    } catch (error) {
      fault = error instanceof RequestError ? error : internal(error);
      reply = problemReply(fault);
    }
    const signature = state.signature ?? fault?.reason;
    state.reservation?.release();
    const { guarded, admission } = state;
    const fact: RequestFact = {
      kind: 'request',
      source: guarded?.source.name ?? 'unknown',
      who: admission?.who ?? null,
      status: reply.status,
      ms: performance.now() - started,
      verdicts,
      error: fault?.code ?? null,
      ...(signature === undefined ? {} : { signature }),
      ...(fault?.cause === undefined ? {} : { cause: fault.cause }),
    };
    report(fact);
    if (state.span !== null) endRequestSpan(state.span, fact);
    return { reply, guarded, admission };
  }

  /** A verdict for each event, or the reply of the gateway that the request was forwarded to. */
  #finish(
    events: IncomingEvent[],
    c: Context,
    head: Head,
    protocol: Protocol,
    state: RequestState,
  ): Promise<Outcome | Reply> {
    const { groups, platform, relay } = this.#options;
    const { source } = state.admission!.guarded;
    if (relay === null) return store(events, source, groups.get(source.config.topic)!, platform);
    return forwardToOrigin(relay, { events, source, protocol, head, url: c.req.url, body: state.sent });
  }
}

/** RequestError `internal` for an error that is a bug, with the error as its cause. */
export function internal(error: unknown): RequestError {
  const fault = new RequestError('internal', 'something went wrong here; the events may be sent again');
  fault.cause = error;
  return fault;
}
