import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener, RequestError } from '@hono/node-server';
import type { Address } from '../../config/values/address.ts';
import { type ErrorCode, problemText } from '../../core/errors.ts';
import { StartError } from '../../core/lifecycle.ts';
import type { CloseTimes } from './closing.ts';
import type { ConnectionLimits } from './connection-groups.ts';
import { Connections } from './connections.ts';
import type { NodeEnv } from './node-platform.ts';
import { openPort } from './open-port.ts';

export interface ListenOptions {
  address: Address;
  fetch(request: Request, env: NodeEnv): Response | Promise<Response>;
  /** Milliseconds that an idle connection is kept; longer than a load balancer keeps its own. */
  keepAlive: number;
  /** Listening sockets of the port. Default: 1. */
  sockets?: number;
  connections: ConnectionLimits;
  /** Header fields that are refused with 431 rather than dropped in silence. */
  maxHeaders: number;
}

export interface Listener {
  port: number;
  /** How many are connected. */
  size(): number;
  /** Sets how many may be connected, within what the options say. */
  resize(total: number): void;
  /** Stops accepting; resolves when the last request is answered and all connections are closed. Default times: 0. */
  close(times?: CloseTimes): Promise<void>;
  /** Ends what is left. */
  destroy(): void;
}

/** A refused body is read on and thrown away within these, so that the client sees the reply and not a reset. */
const LINGER_MS = 2000;
const LINGER_BYTES = 32 * 1024 * 1024;
/** Bytes of the request line and all header fields. */
const MAX_HEAD = 32 * 1024;
/** Of each connection: the operating system asks clients that are silent whether they are there. */
const SOCKET = { keepAlive: true, keepAliveInitialDelay: 30_000 };

/** Serves a fetch handler over HTTP/1.1. Rejects when the address can't be had. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const handler = getRequestListener(
    (request, env) => {
      const { incoming, outgoing } = env as NodeEnv;
      const finish = (response: Response) => {
        if (!incoming.complete) lingerThenClose(incoming, outgoing);
        return response;
      };
      if (hasDots(incoming.url!))
        return finish(refusal('not_found', 'there is no path with a segment . or ..'));
      const response = options.fetch(request, env as NodeEnv);
      return response instanceof Promise ? response.then(finish) : finish(response);
    },
    // HTTP/1.0 needs no Host; without one in HTTP/1.1, Node answers 400 by itself.
    { overrideGlobalObjects: true, autoCleanupIncoming: false, errorHandler: unfit, hostname: 'localhost' },
  );
  const server = createServer({
    keepAliveTimeout: options.keepAlive,
    headersTimeout: options.connections.headTime,
    // The gateway has its own, shorter limit for bodies and answers 408 as a problem.
    requestTimeout: 0,
    connectionsCheckingInterval: 1000,
    maxHeaderSize: MAX_HEAD,
    ...SOCKET,
  });
  // One more than is allowed, so that the excess is seen.
  server.maxHeadersCount = options.maxHeaders + 1;
  const connections = new Connections(server, options.connections, handler, lastAnswer(...FULL));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET') socket.destroy();
    else connections.refuse(socket as Socket, lastAnswer(...headFault(error.code, options)));
  });
  const more = await openPort(server, {
    address: options.address,
    sockets: options.sockets ?? 1,
    socket: SOCKET,
  }).catch((error: Error) => {
    const { host, port } = options.address;
    throw new StartError(`cannot listen on ${host}:${port}: ${error.message}`);
  });
  return {
    port: (server.address() as AddressInfo).port,
    size: () => connections.size,
    resize: (total) => connections.resize(total),
    close: (times = { idle: 0, stalled: 0 }) => connections.close(times, more),
    destroy: () => connections.destroy(),
  };
}

/** A path with a segment . or .. names another path: a proxy that checks paths could be misled. */
const DOTS = /\/(?:\.|%2e){1,2}(?:\/|$)/i;

function hasDots(target: string): boolean {
  if (!target.includes('/.') && !target.includes('/%2')) return false;
  return DOTS.test(target.split('?', 1)[0]!);
}

/** The answer to a request whose target is not a URL, or to a bug. */
function unfit(error: unknown): Response {
  return error instanceof RequestError
    ? refusal(...BAD_HTTP)
    : refusal('internal', 'something went wrong here; the events may be sent again');
}

function refusal(code: ErrorCode, detail: string): Response {
  const { status, text } = problemText(code, detail);
  return new Response(text, { status, headers: { 'content-type': 'application/problem+json' } });
}

const BAD_HTTP: [ErrorCode, string] = ['bad_request', 'the request is not well-formed HTTP/1.1'];
const FULL: [ErrorCode, string] = ['overloaded', 'there are too many connections; try again'];

/** The error of a head that Node refuses, by Node's code. */
function headFault(
  code: string | undefined,
  { maxHeaders, connections }: ListenOptions,
): [ErrorCode, string] {
  if (code === 'HPE_HEADER_OVERFLOW')
    return ['headers_too_many', `the head has more than ${MAX_HEAD} bytes or ${maxHeaders} header fields`];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return ['body_timeout', `the head of the request did not come within ${connections.headTime} ms`];
  return BAD_HTTP;
}

/** An answer without the app: the framing is malformed, the head too slow or too large, or there are too many connections. */
function lastAnswer(code: ErrorCode, detail: string): string {
  const { status, title, text } = problemText(code, detail);
  const retry = status === 503 ? 'retry-after: 1\r\n' : '';
  return `HTTP/1.1 ${status} ${title}\r\nconnection: close\r\n${retry}content-type: application/problem+json\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
}

/** Lets a reply out whose request body was not read, and ends the connection after it (RFC 9112 section 9.6). */
function lingerThenClose(incoming: IncomingMessage, outgoing: ServerResponse): void {
  outgoing.shouldKeepAlive = false;
  if (incoming.headers.expect !== undefined && !outgoing.writableEnded) return;
  const end = outgoing.end.bind(outgoing);
  outgoing.end = ((chunk?: string | Uint8Array) => {
    if (chunk !== undefined && chunk !== null) outgoing.write(chunk);
    let left = LINGER_BYTES;
    const timer = setTimeout(finish, LINGER_MS);
    function finish(): void {
      clearTimeout(timer);
      incoming.off('data', onData);
      incoming.off('close', finish);
      end();
    }
    function onData(bytes: Buffer): void {
      left -= bytes.length;
      if (left < 0) finish();
    }
    incoming.on('data', onData);
    incoming.once('end', finish);
    incoming.once('close', finish);
    incoming.resume();
    return outgoing;
  }) as ServerResponse['end'];
}
