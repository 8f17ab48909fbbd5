import type { StoredRecord } from '../ports/event-log.ts';
import { failedIn } from './batch-reply.ts';
import type { Answer, CallFault, FunctionReply } from './answer.ts';
import type { WantsReply } from './invoker.ts';

/** What is looked for in the answers of a function. */
export interface Wanted {
  /** A success may list the events that failed. */
  isBatch: boolean;
  wantsReply: WantsReply;
  /** A text without the secrets that a function may repeat. */
  hide(text: string): string;
}

type Headers = FunctionReply['headers'];
type Outcome = Pick<Answer, 'status' | 'fault' | 'retryAfter' | 'detail' | 'failed' | 'reply'>;

/** Bytes of an answer that are read to keep the connection. */
const DRAINED = 64 * 1024;
/** Bytes of an answer that says something. */
const KEPT = 1024 * 1024;
/** Bytes of an answer that are shown. */
const EXCERPT = 1024;
/** Bytes after the excerpt, so that of a secret at its end no part is shown. */
const LONGEST_SECRET = 8 * 1024;
const EVENT = /^application\/cloudevents/i;

/** An answer while it comes, and what it says. */
export class HttpResponse {
  readonly #status: number;
  readonly #headers: Headers;
  readonly #records: readonly StoredRecord[];
  readonly #wanted: Wanted;
  readonly #isReply: boolean;
  /** Bytes of the body that are kept. */
  readonly #most: number;
  /** Bytes that are said to come. */
  readonly #announced: number;
  #read = 0;
  #chunks: Buffer[] = [];
  /** Of a success of which too much came. */
  #early: Outcome | null = null;

  constructor(status: number, headers: Headers, records: readonly StoredRecord[], wanted: Wanted) {
    this.#status = status;
    this.#headers = headers;
    this.#records = records;
    this.#wanted = wanted;
    this.#announced = Number(one(headers, 'content-length') ?? 0);
    // What comes with a 202 is about the call, and a 204 has nothing. A 201 with an event means it.
    const mayReply = !this.#isFailure && status !== 202 && status !== 204;
    const isEvent = wanted.wantsReply === true && mayReply && claimsEvent(headers);
    this.#isReply = isEvent || (wanted.wantsReply === 'any' && !this.#isFailure);
    if (this.#isFailure) this.#most = EXCERPT + LONGEST_SECRET;
    else this.#most = wanted.isBatch || this.#isReply ? KEPT : 0;
  }

  /** Nothing that may still come changes the outcome, and it is too much to be read for the connection's sake. */
  get isEnough(): boolean {
    if (this.#isFailure) {
      return this.#read >= this.#most && Math.max(this.#read, this.#announced) > DRAINED;
    }
    if (this.#most === 0) return this.#announced > DRAINED;
    // Of any other success it is not known yet whether it will end: an endless one is a timeout.
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

  outcome(): Outcome {
    return this.#early ?? this.#outcome();
  }

  #outcome(): Outcome {
    const body = Buffer.concat(this.#chunks);
    if (this.#isFailure) return this.#answer(null, this.#detail(body));
    if (this.#isReply && this.#isTooLong) {
      // It will be as long the next time: the dead letter says what was lost.
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

  #answer(fault: CallFault | null, detail: string): Outcome {
    const retryAfter = this.#headers['retry-after'] ?? null;
    return { status: this.#status, fault, retryAfter, detail, failed: null, reply: null };
  }

  #detail(body: Buffer, remark = ''): string {
    const head = `HTTP ${this.#status}${remark}`;
    if (body.length === 0) return head;
    const text = this.#wanted.hide(body.toString('utf8', 0, EXCERPT + LONGEST_SECRET));
    const { read } = new TextEncoder().encodeInto(text, new Uint8Array(EXCERPT));
    return `${head}: ${text.slice(0, read)}`;
  }
}

const NOTHING = Buffer.alloc(0);

function one(headers: Headers, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' ? value : null;
}

/** Whether an answer means to be a CloudEvent, in any mode of the HTTP binding (section 3). */
function claimsEvent(headers: Headers): boolean {
  const isBinary = ['ce-specversion', 'ce-id', 'ce-type'].some((name) => headers[name] !== undefined);
  return isBinary || EVENT.test(one(headers, 'content-type') ?? '');
}
