import { type Dispatcher, Pool } from 'undici';
import type { HttpFunction } from '../../config-subscription-types.ts';
import type { StoredRecord } from '../../ports/event-log.ts';
import { recordSize } from '../call.ts';
import type { CallFault } from '../conclude.ts';
import { MAX_TIMER } from '../retry.ts';
import { batchMessage, binaryMessage, type Message, structuredMessage } from './envelope.ts';
import type { Caller, Invocation, Invoker } from './invoker.ts';

/** Bytes of a reply that are read to keep the connection. */
const REPLY = 64 * 1024;
const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 4_000;
/** Milliseconds by which a server's keep-alive hint is shortened: a request is on its way for some time. */
const KEEP_ALIVE_MARGIN_MS = 1_000;
const EXCERPT = 200;
/** Those that are ours or undici's to set. */
const RESERVED =
  /^(?:ce-.*|content-type|content-length|transfer-encoding|connection|keep-alive|upgrade|expect|traceparent|tracestate|idempotency-key)$/i;

export interface HttpInvokerOptions {
  subscription: string;
  http: HttpFunction;
  /** Milliseconds for a whole call. */
  timeout: number;
  /** Calls at once. */
  concurrency: number;
}

/** Calls a function over HTTP. Throws TypeError on a URL or header that cannot be used. */
export function httpInvoker({ subscription, http, timeout, concurrency }: HttpInvokerOptions): Invoker {
  const url = new URL(http.url);
  const path = url.pathname + url.search;
  const fixed = fixedHeaders(http.headers, url);
  const pool = new Pool(url.origin, {
    connections: concurrency,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveTimeoutThreshold: KEEP_ALIVE_MARGIN_MS,
    connect: { timeout: Math.min(timeout, CONNECT_MS) },
    // One timer per call covers all of it.
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  function message(records: readonly StoredRecord[]): Message {
    if (http.mode === 'batch') return batchMessage(records, subscription);
    if (http.mode === 'structured') return structuredMessage(records[0]!, subscription);
    return binaryMessage(records[0]!, subscription);
  }

  return {
    invoke(records: readonly StoredRecord[], caller: Caller, fresh: boolean): Invocation {
      const { headers, body } = message(records);
      headers.push(...fixed);
      const call = new HttpCall(caller, timeout, fresh);
      pool.dispatch({ method: 'POST', path, headers, body }, call);
      return call;
    },
    sizeOf: recordSize,
    close: () => pool.destroy(),
  };
}

function fixedHeaders(configured: Record<string, string>, url: URL): string[] {
  const all: string[] = [];
  const names = new Set<string>();
  for (const [name, value] of Object.entries(configured)) {
    if (RESERVED.test(name)) throw new TypeError(`the header ${name} cannot be set for a function`);
    // Throws TypeError on what a header cannot hold, at start and not on the first call.
    new Headers([[name, value]]);
    names.add(name.toLowerCase());
    all.push(name, value);
  }
  if (url.username !== '' && !names.has('authorization')) {
    const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    all.push('authorization', `Basic ${Buffer.from(login).toString('base64')}`);
  }
  if (!names.has('user-agent')) all.push('user-agent', 'postern');
  return all;
}

class HttpCall implements Dispatcher.DispatchHandler, Invocation {
  readonly #caller: Caller;
  readonly #fresh: boolean;
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | null = null;
  #ended = false;
  #status = 0;
  #retryAfter: string | string[] | null = null;
  #read = 0;
  #excerpt = '';

  constructor(caller: Caller, timeout: number, fresh: boolean) {
    this.#caller = caller;
    this.#fresh = fresh;
    this.#timer = setTimeout(timedOut, Math.min(timeout, MAX_TIMER), this);
  }

  abort(fault: CallFault = 'aborted'): void {
    this.#end(null, fault, fault === 'timeout' ? 'no whole answer in time' : 'given up');
    this.#controller?.abort(new Error(fault));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It waited for a connection for too long.
    if (this.#ended) controller.abort(new Error('timeout'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    this.#status = status;
    this.#retryAfter = headers['retry-after'] ?? null;
    if (Number(headers['content-length'] ?? 0) > REPLY) this.#cut(controller);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#ended) return;
    this.#read += chunk.length;
    if (this.#excerpt === '' && this.#status >= 300) {
      this.#excerpt = `: ${chunk.toString('utf8', 0, EXCERPT)}`;
    }
    // Of a success it is not known yet whether it will end: an endless one is a timeout.
    if (this.#read > REPLY && this.#status >= 300) this.#cut(controller);
  }

  onResponseEnd(): void {
    this.#end(this.#status, null, `HTTP ${this.#status}${this.#excerpt}`);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#ended) return;
    this.#end(null, this.#faultOf(error), error.message);
  }

  /** The status is known and the rest is not worth reading; the connection goes with it. */
  #cut(controller: Dispatcher.DispatchController): void {
    this.onResponseEnd();
    controller.abort(new Error('the reply is too long'));
  }

  #end(status: number | null, fault: CallFault | null, detail: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    const ms = performance.now() - this.#started;
    const retryAfter = this.#retryAfter;
    this.#caller.answered({ status, fault, retryAfter, detail, ms, failed: null, reply: null });
  }

  #faultOf(error: Error & { code?: string; socket?: { bytesRead?: number } }): CallFault {
    switch (error.code) {
      case 'UND_ERR_INVALID_ARG':
        return 'invalid_call';
      case 'UND_ERR_SOCKET':
      case 'ECONNRESET':
      case 'EPIPE':
        return this.#wasStale(error.socket?.bytesRead) ? 'stale_connection' : 'connection_lost';
      case 'UND_ERR_DESTROYED':
      case 'UND_ERR_CLOSED':
        return 'aborted';
      default:
        if (this.#controller === null) return 'unreachable';
        // The parser's errors and undici's about the reply, or the system's about the connection.
        return error.code === undefined || /^(?:HPE|UND)_/.test(error.code) ? 'bad_reply' : 'connection_lost';
    }
  }

  /**
   * A server may close an idle connection at the moment when a request leaves: nobody's fault, and nothing
   * was answered. On a new connection (no bytes read so far) it is the function that fails.
   */
  #wasStale(bytesRead = 1): boolean {
    return this.#fresh && this.#controller !== null && this.#status === 0 && bytesRead > 0;
  }
}

function timedOut(call: HttpCall): void {
  call.abort('timeout');
}
