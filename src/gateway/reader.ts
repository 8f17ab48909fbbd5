import type { Context } from 'hono';
import type { Limits } from '../config/gateway/types.ts';
import type { Origin } from '../core/address.ts';
import { RequestError } from '../core/errors.ts';
import type { IncomingEvent } from '../core/event.ts';
import { traceHeaders } from '../core/trace-context.ts';
import type { BodyLimits, Coding, Platform } from '../ports/platform.ts';
import type { Span } from '../ports/tracing.ts';
import type { SchemaSet } from '../schema/registry.ts';
import {
  type Admission,
  admit,
  type GuardedSource,
  keyNotInHead,
  needsKeyInHead,
} from './admission/admit.ts';
import { checkOrigin } from './admission/cors.ts';
import { inflatedGrowth } from './body/body.ts';
import { checkHead, type Head } from './body/head.ts';
import type { DecodeContext, Source } from './formats/source.ts';
import { idempotencyKeyOf, unsignedIdempotencyKey } from './formats/transport.ts';
import { judgeAll } from './judge.ts';
import type { RequestMemory } from './memory/request-memory.ts';
import type { Reservation } from './memory/reservation.ts';
import type { Protocol } from './protocols/protocol.ts';
import type { Limiter } from './rate/limiter.ts';
import { ReceiptClock } from './receipt-clock.ts';
import type { Reply } from './reply.ts';
import type { Signed } from './signature/check.ts';

export interface ReaderOptions {
  limits: Limits;
  memory: RequestMemory;
  schemas: () => SchemaSet;
  limiter: Limiter | null;
  /** Null when records get no address. */
  clientAddress: ((origin: Origin) => string | null) | null;
  /** The group of clients whose quota a request takes from; null when it is not known. */
  clientGroup: (origin: Origin) => string | null;
  platform: Platform;
}

/** A request whose head has arrived. */
export interface IncomingRequest {
  c: Context;
  head: Head;
  protocol: Protocol;
}

/**
 * What is known of a request so far, for its report and its release when a step throws. Only `RequestReader.read`
 * changes it; the caller sets `span` before.
 */
export interface RequestState {
  guarded: GuardedSource | null;
  admission: Admission | null;
  reservation: Reservation | null;
  span: Span | null;
  /** The body as sent. */
  sent: Uint8Array | null;
  /** The secret that matched. */
  signature?: string;
}

/** Takes a request from its head to its judged events: admit, receive, verify, inflate, decode, judge. */
export class RequestReader {
  readonly #options: ReaderOptions;
  readonly #bodyLimits: BodyLimits;
  readonly #clock = new ReceiptClock();

  constructor(options: ReaderOptions) {
    const { body, bodyTime, bodyRate } = options.limits;
    this.#options = options;
    this.#bodyLimits = { limit: body, timeout: bodyTime, rate: bodyRate };
  }

  /** The judged events of a request, or the reply to one that holds no events. Rejects with RequestError. */
  async read(request: IncomingRequest, state: RequestState): Promise<IncomingEvent[] | Reply> {
    const { platform, limits, memory, limiter } = this.#options;
    const { c, head, protocol } = request;
    const guarded = protocol.sourceOf(head);
    state.guarded = guarded;
    // Each step waits only when it has to: one more promise for each request costs much.
    const admitted = guarded === null ? null : admit(guarded, head, platform);
    state.admission = admitted instanceof Promise ? await admitted : admitted;
    if (state.admission !== null) this.#checkOriginAndRate(state.admission, head);
    const decode = protocol.open(head, guarded);
    const coding = checkHead(head, platform.headerCount(c.req.raw, c.env), limits, platform.codings);
    const origin = { peer: platform.peer(c.req.raw, c.env), header: head.header };
    const client = this.#options.clientGroup(origin);
    const reservation = memory.reserve(vouchedFor(guarded), client);
    state.reservation = reservation;
    const sent = await platform.readBody(c.req.raw, c.env, this.#bodyLimits, reservation);
    state.sent = sent;
    const wait = platform.enter(client);
    if (wait !== null) await wait;
    const signed =
      guarded === null || guarded.signature === null ? null : await guarded.signature(sent, head);
    if (signed !== null) state.signature = `secret-${signed.secret + 1}`;
    const early = withDevice(state.admission, signed);
    state.admission = early;
    if (early !== null) memory.admit(reservation, early.guarded.source.name);
    const body = coding === null ? sent : await this.#inflate(request, coding, sent, state);
    const context = (source: Source) => this.#context(source, head, signed, state);
    const decoded = decode({ body, admission: early, signed, context });
    if (!('events' in decoded)) return decoded;
    const { admission } = decoded;
    if (early === null) {
      state.guarded = admission.guarded;
      state.admission = admission;
      this.#checkOriginAndRate(admission, head);
      memory.admit(reservation, admission.guarded.source.name);
    }
    const judging = judgeAll(decoded.events, {
      source: admission.guarded.source,
      schemas: this.#options.schemas(),
      device: signed?.device ?? null,
      who: admission.who,
      address: this.#options.clientAddress?.(origin),
      turn: async () => {
        await platform.turn(client);
        this.#checkClient(request);
      },
    });
    const events = judging instanceof Promise ? await judging : judging;
    const taken = limiter?.take(admission, events.length, body.length);
    if (taken instanceof Promise) await taken;
    return events;
  }

  /** Work for a client that has gone keeps others waiting. Throws RequestError `body_aborted` then. */
  #checkClient({ c }: IncomingRequest): void {
    if (this.#options.platform.isGone(c.req.raw, c.env))
      throw new RequestError('body_aborted', 'the client has gone');
  }

  #checkOriginAndRate(admission: Admission, head: Head): void {
    checkOrigin(admission.guarded.source.config.origins, head.header('origin'));
    this.#options.limiter?.check(admission);
  }

  /** The body without its content-coding. Rejects with RequestError `unauthorized` when the client is not admitted yet. */
  async #inflate(
    request: IncomingRequest,
    coding: Coding,
    sent: Uint8Array,
    { admission, reservation }: RequestState,
  ): Promise<Uint8Array> {
    if (sent.length === 0) return sent;
    if (admission === null) throw keyNotInHead();
    const growth = inflatedGrowth(coding, sent, this.#options.limits, reservation!);
    return this.#options.platform.inflate(coding, sent, (bytes) => {
      this.#checkClient(request);
      growth(bytes);
    });
  }

  #context(source: Source, { header }: Head, signed: Signed | null, state: RequestState): DecodeContext {
    const { limits, platform } = this.#options;
    const key = header('idempotency-key');
    // Some senders of webhooks set this header. It is not signed, so it does not count.
    if (signed !== null && key !== undefined && source.config.protocol !== 'webhook')
      throw unsignedIdempotencyKey();
    return {
      source,
      limits,
      digests: platform,
      receivedAt: this.#clock.now(),
      header,
      grow: (bytes) => state.reservation!.grow(bytes),
      idempotencyKey: signed === null ? idempotencyKeyOf(key, limits.id) : null,
      trace: state.span?.headers ?? traceHeaders(header('traceparent'), header('tracestate')),
    };
  }
}

/** The source that pays for a request before its body has arrived; null when only a signature of the body proves it. */
function vouchedFor(guarded: GuardedSource | null): string | null {
  if (guarded === null || (guarded.signature !== null && !needsKeyInHead(guarded))) return null;
  return guarded.source.name;
}

/** A device that signed is the sender, unless a key or a token names another one. */
function withDevice(admission: Admission | null, signed: Signed | null): Admission | null {
  if (admission === null || admission.who !== null || signed?.device === undefined) return admission;
  return { guarded: admission.guarded, who: signed.device };
}
