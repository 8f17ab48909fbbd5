import type { Dispatcher } from 'undici';
import type { StoredRecord } from '../ports/event-log.ts';
import type { CallFault, FunctionReply } from './answer.ts';
import type { Caller, Invocation } from './invoker.ts';
import { lostFault } from './lost.ts';
import { HttpResponse, type Wanted } from './response.ts';
import { MAX_TIMER } from './retry.ts';

/** The options that all calls of a function share. */
export interface HttpCallOptions extends Wanted {
  /** Milliseconds for a whole call. */
  timeout: number;
}

type Controller = Dispatcher.DispatchController;

/** One request, from its start to its end. */
export class HttpCall implements Dispatcher.DispatchHandler, Invocation {
  readonly #caller: Caller;
  readonly #records: readonly StoredRecord[];
  readonly #fresh: boolean;
  readonly #options: HttpCallOptions;
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout;
  #controller: Controller | null = null;
  #response: HttpResponse | null = null;
  #ended = false;
  /** The thing, such as a token, that it needs before it can be sent; null: none. */
  waitsFor: string | null = null;

  constructor(caller: Caller, records: readonly StoredRecord[], fresh: boolean, options: HttpCallOptions) {
    this.#caller = caller;
    this.#records = records;
    this.#fresh = fresh;
    this.#options = options;
    this.#timer = setTimeout(timedOut, Math.min(options.timeout, MAX_TIMER), this);
  }

  get isOver(): boolean {
    return this.#ended;
  }

  abort(): void {
    this.fail('aborted', 'given up');
  }

  /** Ends it, unless it has ended. */
  fail(fault: CallFault, detail: string): void {
    this.#lost(fault, detail);
    this.#controller?.abort(new Error(fault));
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    // It has timed out while it waited for a connection.
    if (this.#ended) controller.abort(new Error('timeout'));
  }

  onResponseStart(controller: Controller, status: number, headers: FunctionReply['headers']): void {
    if (status < 200) return;
    this.#response = new HttpResponse(status, headers, this.#records, this.#options);
    this.#cutWhenEnough(controller);
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#ended) return;
    this.#response!.data(chunk);
    this.#cutWhenEnough(controller);
  }

  onResponseEnd(): void {
    if (!this.#ended) this.#end(this.#response!.outcome());
  }

  onResponseError(_controller: Controller, error: Error): void {
    if (!this.#ended) this.#lost(this.#faultOf(error), this.#options.hide(error.message));
  }

  /** Closes the connection when the rest of the answer is not needed. */
  #cutWhenEnough(controller: Controller): void {
    if (!this.#response!.isEnough) return;
    this.onResponseEnd();
    controller.abort(new Error('the reply is too long'));
  }

  #lost(fault: CallFault, detail: string): void {
    this.#end({ status: null, fault, retryAfter: null, detail, failed: null, reply: null });
  }

  #end(outcome: ReturnType<HttpResponse['outcome']>): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#caller.answered({ ...outcome, ms: performance.now() - this.#started });
  }

  #faultOf(error: Error): CallFault {
    const fault = lostFault(error, this.#controller !== null, this.#response !== null);
    return fault === 'stale_connection' && !this.#fresh ? 'connection_lost' : fault;
  }
}

function timedOut(call: HttpCall): void {
  if (call.waitsFor === null) call.fail('timeout', 'no whole answer in time');
  else call.fail('unreachable', `no ${call.waitsFor} in time`);
}
