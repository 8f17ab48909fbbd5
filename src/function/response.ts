import type { StoredRecord } from '../ports/event-log.ts';
import type { CallFault, FunctionReply, UntimedAnswer } from './answer.ts';
import { failedIn } from './batch-reply.ts';
import type { WantsReply } from './invoker.ts';

/** The parts that are wanted of a function's answers. */
export interface Wanted {
  /** A success may list the events that failed. */
  isBatch: boolean;
  wantsReply: WantsReply;
  /** Replaces the secrets in a text, which a function may repeat. */
  hide(text: string): string;
}

type Headers = FunctionReply['headers'];

/** Bytes of an unwanted answer that are read so that the connection can be used again. */
const DRAINED = 64 * 1024;
/** Bytes of a wanted answer. */
const KEPT = 1024 * 1024;
/** Bytes of an answer that are shown. */
const EXCERPT = 1024;
/** Bytes after the excerpt that are read too, so that a secret at its end can be recognized. */
const MAX_SECRET = 8 * 1024;
const EVENT = /^application\/cloudevents/i;

/** An HTTP answer while it arrives. */
export class HttpResponse {
  readonly #status: number;
  readonly #headers: Headers;
  readonly #records: readonly StoredRecord[];
  readonly #wanted: Wanted;
  readonly #isReply: boolean;
  /** Bytes of the body that are kept. */
  readonly #most: number;
  /** The content length, or 0. */
  readonly #announced: number;
  #read = 0;
  #chunks: Buffer[] = [];
  /** The answer of a success that is too long. */
  #early: UntimedAnswer | null = null;

  constructor(status: number, headers: Headers, records: readonly StoredRecord[], wanted: Wanted) {
    this.#status = status;
    this.#headers = headers;
    this.#records = records;
    this.#wanted = wanted;
    this.#announced = Number(one(headers, 'content-length') ?? 0);
    // The body of a 202 is about the call, and a 204 has none. A 201 may have an event.
    const mayReply = !this.#isFailure && status !== 202 && status !== 204;
    const isEvent = wanted.wantsReply === true && mayReply && claimsEvent(headers);
    this.#isReply = isEvent || (wanted.wantsReply === 'any' && !this.#isFailure);
    if (this.#isFailure) this.#most = EXCERPT + MAX_SECRET;
    else this.#most = wanted.isBatch || this.#isReply ? KEPT : 0;
  }

  /** The rest cannot change the answer, and is too long to be read only to keep the connection. */
  get isEnough(): boolean {
    if (this.#isFailure) {
      return this.#read >= this.#most && Math.max(this.#read, this.#announced) > DRAINED;
    }
    if (this.#most === 0) return this.#announced > DRAINED;
    // Any other success is a success only when it ends. One that does not end is a timeout.
    return this.#early !== null && this.#early.fault !== null;
  }

  data(chunk: Buffer): void {
    const room = this.#most - this.#read;
    this.#read += chunk.length;
    if (room > 0) this.#chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
    if (this.#isFailure || this.#most === 0 || !this.#isTooLong || this.#early !== null) return;
    this.#early = this.#outcome();
    this.#chunks = [];
  }

  outcome(): UntimedAnswer {
    return this.#early ?? this.#outcome();
  }

  #outcome(): UntimedAnswer {
    const body = Buffer.concat(this.#chunks);
    if (this.#isFailure) return this.#answer(null, this.#detail(body));
    if (this.#isReply && this.#isTooLong) {
      // A retry would get the same length.
      return this.#answer('too_large', `HTTP ${this.#status}: the answer has more than ${KEPT} bytes`);
    }
    const type = one(this.#headers, 'content-type');
    const failed = this.#wanted.isBatch ? failedIn(body, type, !this.#isTooLong, this.#records) : null;
    if (failed === 'malformed') {
      return this.#answer('bad_reply', this.#detail(body, ', but its list of failures is not understood'));
    }
    const reply = this.#isReply ? { headers: this.#headers, body } : null;
    return { ...this.#answer(null, this.#detail(NOTHING)), failed, reply };
  }

  get #isFailure(): boolean {
    return this.#status >= 300;
  }

  get #isTooLong(): boolean {
    return this.#read > this.#most;
  }

  #answer(fault: CallFault | null, detail: string): UntimedAnswer {
    const retryAfter = this.#headers['retry-after'] ?? null;
    return { status: this.#status, fault, retryAfter, detail, failed: null, reply: null };
  }

  #detail(body: Buffer, remark = ''): string {
    const head = `HTTP ${this.#status}${remark}`;
    if (body.length === 0) return head;
    const text = this.#wanted.hide(body.toString('utf8', 0, EXCERPT + MAX_SECRET));
    const { read } = new TextEncoder().encodeInto(text, new Uint8Array(EXCERPT));
    return `${head}: ${text.slice(0, read)}`;
  }
}

const NOTHING = Buffer.alloc(0);

function one(headers: Headers, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' ? value : null;
}

/** Whether an answer claims to be a CloudEvent, in any mode of the HTTP binding (section 3). */
function claimsEvent(headers: Headers): boolean {
  const isBinary = ['ce-specversion', 'ce-id', 'ce-type'].some((name) => headers[name] !== undefined);
  return isBinary || EVENT.test(one(headers, 'content-type') ?? '');
}
