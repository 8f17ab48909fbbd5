import type { Context } from 'hono';
import type { Limits } from '../config/gateway/types.ts';
import type { Origin } from '../core/address.ts';
import { RequestError } from '../core/errors.ts';
import type { DecodedEvent } from '../core/event.ts';
import { traceHeaders } from '../core/trace-context.ts';
import type { Coding, Platform } from '../ports/platform.ts';
import type { Span } from '../ports/tracing.ts';
import type { SchemaSet } from '../schema/registry.ts';
import { type Admission, admit, type Door, isKeyed, keyNotInHead } from './admission/admit.ts';
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
  door: Door | null;
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
  readonly #clock = new ReceiptClock();

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** The judged events of a request that may come in, or the answer when it is about something else. Rejects with RequestError. */
  async read(request: IncomingRequest, state: RequestState): Promise<DecodedEvent[] | Reply> {
    const { platform, limits, room, limiter } = this.#options;
    const { c, head, protocol } = request;
    const door = protocol.door(head);
    if (door !== null) await this.#admit(door, head, state);
    protocol.inspect(head);
    const coding = checkHead(head, platform.headerCount(c.req.raw, c.env), limits, platform.codings);
    const origin = originOf(request, platform);
    const client = this.#options.clientGroup(origin);
    const hold = room.enter({ source: vouchedFor(door), address: client });
    state.hold = hold;
    const sent = await this.#receive(c, hold);
    state.sent = sent;
    const wait = platform.enter(client);
    if (wait !== null) await wait;
    const signed = door === null ? null : await verify(door, sent, head, state);
    const early = state.admission;
    if (early !== null) room.admit(hold, early.door.source.name);
    // Work for who has gone is work that others wait for.
    const alive = () => {
      if (platform.isGone(c.req.raw, c.env)) throw new RequestError('body_aborted', 'the client has gone');
    };
    const body = coding === null ? sent : await this.#inflate(coding, sent, early, hold, alive);
    const context = (source: Source) => this.#context(source, head, signed, state);
    const reading = protocol.read({ head, body, admission: early, signed, context });
    if ('answer' in reading) return reading.answer;
    const { admission } = reading;
    if (early === null) {
      this.#letIn(admission, head, state);
      room.admit(hold, admission.door.source.name);
    }
    const events = await judgeAll(reading.events, {
      source: admission.door.source,
      schemas: this.#options.schemas(),
      device: signed?.device ?? null,
      who: admission.who,
      address: this.#options.clientAddress?.(origin),
      async turn() {
        await platform.turn(client);
        alive();
      },
    });
    const taken = limiter?.take(admission, events.length, body.length);
    if (taken instanceof Promise) await taken;
    return events;
  }

  async #admit(door: Door, head: Head, state: RequestState): Promise<void> {
    state.door = door;
    const admitted = admit(door, head, this.#options.platform);
    this.#letIn(admitted instanceof Promise ? await admitted : admitted, head, state);
  }

  #letIn(admission: Admission, head: Head, state: RequestState): void {
    state.door = admission.door;
    state.admission = admission;
    checkOrigin(admission.door.source.config.origins, head.header('origin'));
    this.#options.limiter?.check(admission);
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

  /** The body without its content-coding, for who is let in. */
  async #inflate(
    coding: Coding,
    sent: Uint8Array,
    admission: Admission | null,
    hold: Hold,
    alive: () => void,
  ): Promise<Uint8Array> {
    if (sent.length === 0) return sent;
    if (admission === null) throw keyNotInHead();
    const growth = inflatedGrowth(coding, sent, this.#options.limits, hold);
    return this.#options.platform.inflate(coding, sent, (bytes) => {
      alive();
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
      platform,
      receivedAt: this.#clock.now(),
      header,
      grow: (bytes) => state.hold!.grow(bytes),
      idempotencyKey: signed === null ? idempotencyKeyOf(key, limits.id) : null,
      trace: state.span?.headers ?? traceHeaders(header('traceparent'), header('tracestate')),
    };
  }
}

/** The source that a request is charged to before its body has come: a signature vouches for it only then. */
function vouchedFor(door: Door | null): string | null {
  if (door === null || (door.signature !== null && !isKeyed(door))) return null;
  return door.source.name;
}

/** Checks the signature, if the source wants one, and notes who has signed. */
async function verify(door: Door, sent: Uint8Array, head: Head, state: RequestState): Promise<Signed | null> {
  if (door.signature === null) return null;
  const signed = await door.signature(sent, head);
  state.signature = `secret-${signed.secret + 1}`;
  if (signed.device !== undefined && state.admission!.who === null)
    state.admission = { door, who: signed.device };
  return signed;
}

function originOf({ c, head }: IncomingRequest, platform: Platform): Origin {
  return {
    peer: platform.peer(c.req.raw, c.env),
    forwardedFor: head.header('x-forwarded-for'),
    forwarded: head.header('forwarded'),
  };
}
