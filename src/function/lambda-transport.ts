import { Agent, type Dispatcher } from 'undici';
import type { CallFault } from './answer.ts';
import { lostFault } from './lost.ts';

/** A request of the AWS SDK. */
interface HttpRequest {
  protocol: string;
  hostname: string;
  port?: number;
  method: string;
  path: string;
  query?: Record<string, string | string[] | null>;
  headers: Record<string, string>;
  body?: unknown;
}

interface HttpResponse {
  statusCode: number;
  headers: Record<string, string>;
  body: Uint8Array;
}

/** The HTTP client interface of the AWS SDK. */
export type RequestHandler = {
  metadata: { handlerProtocol: string };
  handle(request: HttpRequest, options?: { abortSignal?: AbortSignal }): Promise<{ response: HttpResponse }>;
  destroy(): void;
  updateHttpClientConfig(): void;
  httpHandlerConfigs(): object;
};

/** Bytes of an answer: AWS allows 6 MB for a function's. */
const MAX_ANSWER = 6 * 1024 * 1024 + 1024;
const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 4_000;
/** A server's keep-alive hint is shortened by this: a request takes some time to arrive. */
const KEEP_ALIVE_MARGIN_MS = 1_000;

/** No complete answer arrived. */
export class TransportError extends Error {
  readonly fault: CallFault;

  constructor(fault: CallFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

/**
 * An HTTP client for the AWS SDK that knows, unlike the SDK's own, whether a request was sent and whether its connection
 * had been used before. Rejects with TransportError. Only the caller's signal limits the time.
 */
export function lambdaTransport(concurrency: number): RequestHandler {
  const agent = new Agent({
    connections: concurrency,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveTimeoutThreshold: KEEP_ALIVE_MARGIN_MS,
    connect: { timeout: CONNECT_MS },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return {
    metadata: { handlerProtocol: 'http/1.1' },
    handle: (request, { abortSignal } = {}) =>
      new Promise((resolve, reject) => {
        const exchange = new Exchange((response) => resolve({ response }), reject);
        if (abortSignal?.aborted) return exchange.abort();
        abortSignal?.addEventListener('abort', () => exchange.abort(), { once: true });
        agent.dispatch(optionsOf(request), exchange);
      }),
    destroy: () => void agent.destroy(),
    updateHttpClientConfig() {},
    httpHandlerConfigs: () => ({}),
  };
}

function optionsOf(request: HttpRequest): Dispatcher.DispatchOptions {
  const { protocol, hostname, port, method, path, headers, body } = request;
  const host = hostname.includes(':') && !hostname.startsWith('[') ? `[${hostname}]` : hostname;
  return {
    origin: `${protocol}//${host}${port === undefined ? '' : `:${port}`}`,
    path: path + queryOf(request),
    method: method as Dispatcher.HttpMethod,
    headers,
    body: (body ?? null) as Uint8Array | string | null,
  };
}

/** Calls of functions have no query, but requests for credentials do. */
function queryOf({ query = {} }: HttpRequest): string {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      pairs.push(encodeURIComponent(name) + (one === null ? '' : `=${encodeURIComponent(one)}`));
    }
  }
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #resolve: (response: HttpResponse) => void;
  readonly #reject: (error: TransportError) => void;
  #controller: Dispatcher.DispatchController | null = null;
  #aborted = false;
  #status = 0;
  #headers: Record<string, string> = {};
  #read = 0;
  readonly #chunks: Buffer[] = [];

  constructor(resolve: (response: HttpResponse) => void, reject: (error: TransportError) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  abort(): void {
    this.#aborted = true;
    this.#reject(new TransportError('aborted', 'given up'));
    this.#controller?.abort(new Error('given up'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It was aborted while it waited for a connection.
    if (this.#aborted) controller.abort(new Error('given up'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    this.#status = status;
    for (const name in headers) this.#headers[name] = String(headers[name]);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#read += chunk.length;
    if (this.#read <= MAX_ANSWER) {
      this.#chunks.push(chunk);
      return;
    }
    this.#reject(new TransportError('bad_reply', `HTTP ${this.#status}, longer than a function may answer`));
    controller.abort(new Error('the answer is too long'));
  }

  onResponseEnd(): void {
    const body = Buffer.concat(this.#chunks);
    this.#resolve({ statusCode: this.#status, headers: this.#headers, body });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#reject(new TransportError(this.#faultOf(error), error.message));
  }

  #faultOf(error: Error): CallFault {
    const fault = lostFault(error, this.#controller !== null, this.#status !== 0);
    // Credentials that cannot stand in a header: no event causes that.
    return fault === 'invalid_call' ? 'unreachable' : fault;
  }
}
