import type { Context } from 'hono';
import type { makeClientAddress } from '../address.ts';
import type { Limits } from '../config.ts';
import { RequestError } from '../errors.ts';
import type { DecodedEvent, Verdict } from '../event.ts';
import type { Platform } from '../ports/platform.ts';
import type { Relay } from '../ports/relay.ts';
import type { Report, RequestFacts } from '../ports/report.ts';
import type { Span, Tracing } from '../ports/tracing.ts';
import type { SchemaSet } from '../schema/registry.ts';
import { traceHeaders } from '../trace-context.ts';
import { type Admission, admit, type Door } from './admit.ts';
import { checkOrigin } from './cors.ts';
import type { CommitGroups } from './group.ts';
import { handOn } from './hand-on.ts';
import { framingOf, type Head, headOf } from './head.ts';
import type { Limiter } from './limiter.ts';
import { markOwner } from './owner.ts';
import { judge, type Outcome, store } from './pipeline.ts';
import type { Protocol } from './protocols/protocol.ts';
import { problemReply, type Reply } from './reply.ts';
import type { Room } from './room.ts';
import type { Signed } from './signature/check.ts';
import { markDevice } from './signature/device.ts';
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
interface Hold {
  door: Door | null;
  admission: Admission | null;
  entered: boolean;
  bytes: number;
  span: Span | null;
  /** The body as sent. */
  sent: Uint8Array | null;
  signature?: string;
}

/** Takes requests from their head to their reply; each is reported once. */
export class Journey {
  readonly #options: JourneyOptions;
  readonly #clock = { second: 0, start: '' };

  constructor(options: JourneyOptions) {
    this.#options = options;
  }

  /** Does not reject. */
  async run(c: Context, protocol: Protocol): Promise<Arrival> {
    const { platform, report, room, tracing } = this.#options;
    const started = performance.now();
    const hold: Hold = { door: null, admission: null, entered: false, bytes: 0, span: null, sent: null };
    let verdicts = NO_VERDICTS;
    let fault: RequestError | null = null;
    let reply: Reply;
    try {
      const head = headOf(c, platform);
      if (tracing !== null) hold.span = requestSpan(tracing, c, head);
      const read = await this.#read(c, head, protocol, hold);
      if (Array.isArray(read)) {
        const ending = await this.#finish(read, c, head, protocol, hold);
        if ('counts' in ending) {
          verdicts = ending.counts;
          reply = protocol.reply(ending, head);
        } else reply = ending;
      } else reply = read;
    } catch (error) {
      fault = error instanceof RequestError ? error : internal(error);
      reply = problemReply(fault);
    }
    const signature = hold.signature ?? fault?.reason;
    if (hold.entered) room.leave(hold.bytes);
    const { door, admission } = hold;
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
    if (hold.span !== null) endRequestSpan(hold.span, facts);
    return { reply, door, admission };
  }

  /** The events of a request that may come in, or the answer when it is about something else. */
  async #read(c: Context, head: Head, protocol: Protocol, hold: Hold): Promise<DecodedEvent[] | Reply> {
    const { platform, limits, room, limiter, clientAddress } = this.#options;
    const door = protocol.door(head);
    let early: Admission | null = null;
    if (door !== null) {
      hold.door = door;
      const admitted = admit(door, head, platform);
      early = admitted instanceof Promise ? await admitted : admitted;
      this.#letIn(early, head, hold);
    }
    protocol.inspect(head);
    const { coding, announced } = framingOf(
      head,
      platform.headerCount(c.req.raw, c.env),
      limits,
      platform.codings,
    );
    room.enter(announced ?? 0);
    hold.entered = true;
    hold.bytes = announced ?? 0;
    const grow = (bytes: number) => {
      room.grow(bytes);
      hold.bytes += bytes;
    };
    const sent = await platform.readBody(c.req.raw, c.env, {
      limit: limits.body,
      timeout: limits.bodyTime,
      grow: announced === null ? grow : ignore,
    });
    hold.sent = sent;
    const check = door?.signature;
    const signed = check ? await check(sent, head) : null;
    if (signed !== null) {
      hold.signature = `secret-${signed.secret + 1}`;
      if (signed.device !== undefined && early!.who === null)
        early = hold.admission = { door: early!.door, who: signed.device };
    }
    let body = sent;
    if (coding !== null && sent.length > 0) {
      body = await platform.inflate(coding, sent, limits.decompressed);
      grow(body.length);
    }
    const context = (source: Source) => this.#context(source, head, signed, hold.span);
    const reading = protocol.read({ head, body, admission: early, signed, context, grow });
    if ('answer' in reading) return reading.answer;
    if (signed?.device !== undefined) markDevice(reading.events, signed.device);
    if (early === null) this.#letIn(reading.admission, head, hold);
    const { who } = hold.admission!;
    const { config, uri } = hold.door!.source;
    if (config.identity === 'key' && who !== null) markOwner(reading.events, uri, who);
    if (clientAddress !== null) {
      const forwarded = { forwardedFor: head.header('x-forwarded-for'), forwarded: head.header('forwarded') };
      markAddress(reading.events, clientAddress({ peer: platform.peer(c.req.raw, c.env), ...forwarded }));
    }
    if (limiter !== null) {
      const taken = limiter.take(reading.admission, reading.events.length, body.length);
      if (taken instanceof Promise) await taken;
    }
    return reading.events;
  }

  #letIn(admission: Admission, head: Head, hold: Hold): void {
    hold.door = admission.door;
    hold.admission = admission;
    checkOrigin(admission.door.source.config.origins, head.header('origin'));
    this.#options.limiter?.check(admission);
  }

  /** A verdict for each event, or the reply of the gateway that was handed the request. */
  #finish(
    events: DecodedEvent[],
    c: Context,
    head: Head,
    protocol: Protocol,
    hold: Hold,
  ): Promise<Outcome | Reply> {
    const { schemas, groups, platform, relay } = this.#options;
    const { source } = hold.admission!.door;
    judge(events, source, schemas());
    if (relay === null) return store(events, source, groups.get(source.config.topic)!, platform);
    return handOn(relay, { events, source, protocol, head, url: c.req.url, body: hold.sent });
  }

  #context(source: Source, { header }: Head, signed: Signed | null, span: Span | null): DecodeContext {
    const { limits, platform } = this.#options;
    return {
      source,
      limits,
      platform,
      receivedAt: this.#now(),
      header,
      idempotencyKey:
        signed === null
          ? idempotencyKeyOf(header('idempotency-key'), limits.id)
          : signedIdempotencyKey(header('idempotency-key'), source.config.protocol === 'webhook'),
      trace: span?.headers ?? traceHeaders(header('traceparent'), header('tracestate')),
    };
  }

  /** The time of day as RFC 3339 text; all but its milliseconds is made once a second. */
  #now(): string {
    const now = Date.now();
    const ms = now % 1000;
    if (now - ms !== this.#clock.second) {
      this.#clock.second = now - ms;
      this.#clock.start = new Date(now).toISOString().slice(0, 20);
    }
    return `${this.#clock.start}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`;
  }
}

/** What a client says of its own address does not stand. */
function markAddress(events: DecodedEvent[], address: string | null): void {
  for (const { headers } of events) {
    if (address === null) delete headers.ce_clientip;
    else headers.ce_clientip = address;
  }
}

const ignore = () => {};

/** A fault of ours, as a RequestError with its cause. */
export function internal(error: unknown): RequestError {
  const fault = new RequestError('internal', 'something went wrong here; the events may be sent again');
  fault.cause = error;
  return fault;
}
