import type { Context } from 'hono';
import type { Limits } from '../config/gateway/types.ts';
import type { Origin } from '../core/address.ts';
import { RequestError } from '../core/errors.ts';
import type { DecodedEvent } from '../core/event.ts';
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
import type { Protocol } from './protocols/protocol.ts';
import type { Limiter } from './rate/limiter.ts';
import { ReceiptClock } from './receipt-clock.ts';
import type { Reply } from './reply.ts';
import type { Hold, Room } from './room.ts';
import type { Signed } from './signature/check.ts';

export interface ReaderOptions {
  limits: Limits;
  room: Room;
  schemas: () => SchemaSet;
  limiter: Limiter | null;
  /** Null when records get no address. */
  clientAddress: ((origin: Origin) => string | null) | null;
  /** Whose share of the room a request takes; null when that is not known. */
  clientGroup: (origin: Origin) => string | null;
  platform: Platform;
}

/** A request of which the head has come. */
export interface IncomingRequest {
  c: Context;
  head: Head;
  protocol: Protocol;
}

/** What is known of a request so far, and what it holds of the gateway until it is answered. */
export interface RequestState {
  guarded: GuardedSource | null;
  admission: Admission | null;
  hold: Hold | null;
  span: Span | null;
  /** The body as sent. */
  sent: Uint8Array | null;
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

  /** The judged events of a request that may come in, or the answer when it is about something else. Rejects with RequestError. */
  async read(request: IncomingRequest, state: RequestState): Promise<DecodedEvent[] | Reply> {
    const { platform, limits, room, limiter } = this.#options;
    const { c, head, protocol } = request;
    const guarded = protocol.sourceOf(head);
    // Each step waits only when it has to: a promise more for each request is dear.
    const admitted = guarded === null ? null : this.#admit(guarded, head, state);
    if (admitted !== null) await admitted;
    protocol.inspect(head);
    const coding = checkHead(head, platform.headerCount(c.req.raw, c.env), limits, platform.codings);
    const origin = { peer: platform.peer(c.req.raw, c.env), header: head.header };
    const client = this.#options.clientGroup(origin);
    const hold = room.enter(vouchedFor(guarded), client);
    state.hold = hold;
    const sent = await platform.readBody(c.req.raw, c.env, this.#bodyLimits, hold);
    state.sent = sent;
    const wait = platform.enter(client);
    if (wait !== null) await wait;
    const signed =
      guarded === null || guarded.signature === null ? null : await verify(guarded, sent, head, state);
    const early = state.admission;
    if (early !== null) room.admit(hold, early.guarded.source.name);
    const body = coding === null ? sent : await this.#inflate(request, coding, sent, state);
    const context = (source: Source) => this.#context(source, head, signed, state);
    const reading = protocol.read({ head, body, admission: early, signed, context });
    if ('answer' in reading) return reading.answer;
    const { admission } = reading;
    if (early === null) {
      this.#checkOriginAndRate(admission, head, state);
      room.admit(hold, admission.guarded.source.name);
    }
    const judging = judgeAll(reading.events, {
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

  /** Null when that is done at once. */
  #admit(guarded: GuardedSource, head: Head, state: RequestState): Promise<void> | null {
    state.guarded = guarded;
    const admitted = admit(guarded, head, this.#options.platform);
    if (admitted instanceof Promise)
      return admitted.then((admission) => this.#checkOriginAndRate(admission, head, state));
    this.#checkOriginAndRate(admitted, head, state);
    return null;
  }

  /** Work for a client that has gone keeps others waiting. Throws RequestError `body_aborted` then. */
  #checkClient({ c }: IncomingRequest): void {
    if (this.#options.platform.isGone(c.req.raw, c.env))
      throw new RequestError('body_aborted', 'the client has gone');
  }

  #checkOriginAndRate(admission: Admission, head: Head, state: RequestState): void {
    state.guarded = admission.guarded;
    state.admission = admission;
    checkOrigin(admission.guarded.source.config.origins, head.header('origin'));
    this.#options.limiter?.check(admission);
  }

  /** The body without its content-coding, for a client that is let in. */
  async #inflate(
    request: IncomingRequest,
    coding: Coding,
    sent: Uint8Array,
    { admission, hold }: RequestState,
  ): Promise<Uint8Array> {
    if (sent.length === 0) return sent;
    if (admission === null) throw keyNotInHead();
    const growth = inflatedGrowth(coding, sent, this.#options.limits, hold!);
    return this.#options.platform.inflate(coding, sent, (bytes) => {
      this.#checkClient(request);
      growth(bytes);
    });
  }

  #context(source: Source, { header }: Head, signed: Signed | null, state: RequestState): DecodeContext {
    const { limits, platform } = this.#options;
    const key = header('idempotency-key');
    // Webhooks may have it from their senders; it counts for nothing there.
    if (signed !== null && key !== undefined && source.config.protocol !== 'webhook')
      throw unsignedIdempotencyKey();
    return {
      source,
      limits,
      digests: platform,
      receivedAt: this.#clock.now(),
      header,
      grow: (bytes) => state.hold!.grow(bytes),
      idempotencyKey: signed === null ? idempotencyKeyOf(key, limits.id) : null,
      trace: state.span?.headers ?? traceHeaders(header('traceparent'), header('tracestate')),
    };
  }
}

/** The source that a request is charged to before its body has come: a signature vouches for it only then. */
function vouchedFor(guarded: GuardedSource | null): string | null {
  if (guarded === null || (guarded.signature !== null && !needsKeyInHead(guarded))) return null;
  return guarded.source.name;
}

/** Checks the signature that the source wants, and notes who has signed. */
async function verify(
  guarded: GuardedSource,
  sent: Uint8Array,
  head: Head,
  state: RequestState,
): Promise<Signed> {
  const signed = await guarded.signature!(sent, head);
  state.signature = `secret-${signed.secret + 1}`;
  if (signed.device !== undefined && state.admission!.who === null)
    state.admission = { guarded, who: signed.device };
  return signed;
}
