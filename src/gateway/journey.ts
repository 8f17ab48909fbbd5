import type { Context } from 'hono';
import type { makeClientAddress, Origin } from '../address.ts';
import type { Limits } from '../config.ts';
import { RequestError } from '../errors.ts';
import type { DecodedEvent, Verdict } from '../event.ts';
import type { Platform } from '../ports/platform.ts';
import type { Relay } from '../ports/relay.ts';
import type { Report, RequestFacts } from '../ports/report.ts';
import type { Span, Tracing } from '../ports/tracing.ts';
import type { SchemaSet } from '../schema/registry.ts';
import { traceHeaders } from '../trace-context.ts';
import { type Admission, admit, type Door, isKeyed, keyInHead } from './admit.ts';
import { inflatedGrowth } from './body.ts';
import { checkOrigin } from './cors.ts';
import type { CommitGroups } from './group.ts';
import { handOn } from './hand-on.ts';
import { checkHead, type Head, headOf } from './head.ts';
import { judgeAll } from './judge.ts';
import type { Limiter } from './limiter.ts';
import { type Outcome, store } from './pipeline.ts';
import type { Protocol } from './protocols/protocol.ts';
import { ReceiptClock } from './receipt-clock.ts';
import { problemReply, type Reply } from './reply.ts';
import type { Hold, Room } from './room.ts';
import type { Signed } from './signature/check.ts';
import type { DecodeContext, Source } from './sources/source.ts';
import { idempotencyKeyOf, signedIdempotencyKey } from './sources/transport.ts';
import { endRequestSpan, requestSpan } from './trace.ts';

export interface JourneyOptions {
  limits: Limits;
  room: Room;
  schemas: () => SchemaSet;
  groups: Map<string, CommitGroups>;
  /** Hands requests on instead of storing their events; null: they are stored here. */
  relay: Relay | null;
  limiter: Limiter | null;
  /** Null when records get no address. */
  clientAddress: ReturnType<typeof makeClientAddress> | null;
  /** Whose share of the room a request takes; null when that is not known. */
  addressGroup: (origin: Origin) => string | null;
  platform: Platform;
  report: Report;
  /** Null when nobody traces. */
  tracing: Tracing | null;
}

export const NO_VERDICTS: Record<Verdict, number> = { accepted: 0, duplicate: 0, rejected: 0, retry: 0 };

/** The reply to one request, and whose it is as far as that is known. */
export interface Arrival {
  reply: Reply;
  door: Door | null;
  admission: Admission | null;
}

/** What is known of a request, and what it holds of the gateway until it is answered. */
interface RequestState {
  door: Door | null;
  admission: Admission | null;
  hold: Hold | null;
  span: Span | null;
  /** The body as sent. */
  sent: Uint8Array | null;
  signature?: string;
}

/** Takes requests from their head to their reply; each is reported once. */
export class Journey {
  readonly #options: JourneyOptions;
  readonly #clock = new ReceiptClock();

  constructor(options: JourneyOptions) {
    this.#options = options;
  }

  /** Does not reject. */
  async run(c: Context, protocol: Protocol): Promise<Arrival> {
    const { platform, report, tracing } = this.#options;
    const started = performance.now();
    const state: RequestState = { door: null, admission: null, hold: null, span: null, sent: null };
    let verdicts = NO_VERDICTS;
    let fault: RequestError | null = null;
    let reply: Reply;
    try {
      const head = headOf(c, platform);
      if (tracing !== null) state.span = requestSpan(tracing, c, head);
      const read = await this.#read(c, head, protocol, state);
      if (Array.isArray(read)) {
        const ending = await this.#finish(read, c, head, protocol, state);
        if ('counts' in ending) {
          verdicts = ending.counts;
          reply = protocol.reply(ending, head);
        } else reply = ending;
      } else reply = read;
    } catch (error) {
      fault = error instanceof RequestError ? error : internal(error);
      reply = problemReply(fault);
    }
    const signature = state.signature ?? fault?.reason;
    state.hold?.leave();
    const { door, admission } = state;
    const facts: RequestFacts = {
      source: door?.source.name ?? 'unknown',
      who: admission?.who ?? null,
      status: reply.status,
      ms: performance.now() - started,
      verdicts,
      error: fault?.code ?? null,
      ...(signature === undefined ? {} : { signature }),
      ...(fault?.cause === undefined ? {} : { cause: fault.cause }),
    };
    report.request(facts);
    if (state.span !== null) endRequestSpan(state.span, facts);
    return { reply, door, admission };
  }

  /** The judged events of a request that may come in, or the answer when it is about something else. */
  async #read(
    c: Context,
    head: Head,
    protocol: Protocol,
    state: RequestState,
  ): Promise<DecodedEvent[] | Reply> {
    const { platform, limits, room, limiter, clientAddress, schemas } = this.#options;
    const door = protocol.door(head);
    let early: Admission | null = null;
    if (door !== null) {
      state.door = door;
      const admitted = admit(door, head, platform);
      early = admitted instanceof Promise ? await admitted : admitted;
      this.#letIn(early, head, state);
    }
    protocol.inspect(head);
    const coding = checkHead(head, platform.headerCount(c.req.raw, c.env), limits, platform.codings);
    const origin = originOf(c, head, platform);
    // A signature vouches for a body only once that has come.
    const known = early !== null && (door!.signature === null || isKeyed(door!)) ? door!.source.name : null;
    const hold = room.enter({ source: known, address: this.#options.addressGroup(origin) });
    state.hold = hold;
    const sent = await this.#receive(c, hold);
    state.sent = sent;
    const check = door?.signature;
    const signed = check ? await check(sent, head) : null;
    if (signed !== null) {
      state.signature = `secret-${signed.secret + 1}`;
      if (signed.device !== undefined && early!.who === null)
        early = state.admission = { door: early!.door, who: signed.device };
    }
    if (early !== null) room.admit(hold, early.door.source.name);
    // Work for who has gone is work that others wait for.
    const alive = () => {
      if (platform.isGone(c.req.raw, c.env)) throw new RequestError('body_aborted', 'the client has gone');
    };
    const grow = (bytes: number) => {
      alive();
      hold.grow(bytes);
    };
    let body = sent;
    if (coding !== null && sent.length > 0) {
      if (early === null) throw keyInHead();
      body = await platform.inflate(coding, sent, inflatedGrowth(coding, sent, limits, { grow }));
    }
    const context = (source: Source) => this.#context(source, head, signed, state);
    const reading = protocol.read({ head, body, admission: early, signed, context });
    if ('answer' in reading) return reading.answer;
    if (early === null) {
      this.#letIn(reading.admission, head, state);
      room.admit(hold, reading.admission.door.source.name);
    }
    const events = await judgeAll(reading.events, {
      source: reading.admission.door.source,
      schemas: schemas(),
      device: signed?.device ?? null,
      who: state.admission!.who,
      address: clientAddress === null ? undefined : clientAddress(origin),
      async turn() {
        await platform.turn();
        alive();
      },
    });
    if (limiter !== null) {
      const taken = limiter.take(reading.admission, events.length, body.length);
      if (taken instanceof Promise) await taken;
    }
    return events;
  }

  /** The body as sent. */
  async #receive(c: Context, hold: Hold): Promise<Uint8Array> {
    const { platform, limits } = this.#options;
    const sent = await platform.readBody(c.req.raw, c.env, {
      limit: limits.body,
      timeout: limits.bodyTime,
      rate: limits.bodyRate,
      grow: (bytes) => hold.grow(bytes),
      started(stop) {
        hold.stop = stop;
      },
    });
    hold.stop = null;
    return sent;
  }

  #letIn(admission: Admission, head: Head, state: RequestState): void {
    state.door = admission.door;
    state.admission = admission;
    checkOrigin(admission.door.source.config.origins, head.header('origin'));
    this.#options.limiter?.check(admission);
  }

  /** A verdict for each event, or the reply of the gateway that was handed the request. */
  #finish(
    events: DecodedEvent[],
    c: Context,
    head: Head,
    protocol: Protocol,
    state: RequestState,
  ): Promise<Outcome | Reply> {
    const { groups, platform, relay } = this.#options;
    const { source } = state.admission!.door;
    if (relay === null) return store(events, source, groups.get(source.config.topic)!, platform);
    return handOn(relay, { events, source, protocol, head, url: c.req.url, body: state.sent });
  }

  #context(source: Source, { header }: Head, signed: Signed | null, state: RequestState): DecodeContext {
    const { limits, platform } = this.#options;
    return {
      source,
      limits,
      platform,
      receivedAt: this.#clock.now(),
      header,
      grow: (bytes) => state.hold!.grow(bytes),
      idempotencyKey:
        signed === null
          ? idempotencyKeyOf(header('idempotency-key'), limits.id)
          : signedIdempotencyKey(header('idempotency-key'), source.config.protocol === 'webhook'),
      trace: state.span?.headers ?? traceHeaders(header('traceparent'), header('tracestate')),
    };
  }
}

function originOf(c: Context, head: Head, platform: Platform): Origin {
  return {
    peer: platform.peer(c.req.raw, c.env),
    forwardedFor: head.header('x-forwarded-for'),
    forwarded: head.header('forwarded'),
  };
}

/** A fault of ours, as a RequestError with its cause. */
export function internal(error: unknown): RequestError {
  const fault = new RequestError('internal', 'something went wrong here; the events may be sent again');
  fault.cause = error;
  return fault;
}
