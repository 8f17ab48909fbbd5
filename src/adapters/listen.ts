import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { getRequestListener, RequestError } from '@hono/node-server';
import type { Address } from '../config.ts';
import { type ErrorCode, errorRow } from '../errors.ts';
import { StartError } from '../lifecycle.ts';
import type { NodeEnv } from './node-platform.ts';

export interface ListenOptions {
  address: Address;
  fetch(request: Request, env: NodeEnv): Response | Promise<Response>;
  /** Milliseconds that an idle connection is kept; longer than a load balancer keeps its own. */
  keepAlive: number;
  /** Header fields that are refused with 431 rather than dropped in silence. */
  maxHeaders: number;
}

export interface Listener {
  port: number;
  /**
   * Stops accepting; resolves when the last request is answered and all connections are closed. One that is idle is
   * closed after `idle` ms (default 0): a request may be on its way on it.
   */
  close(idle?: number): Promise<void>;
  /** Ends what is left. */
  destroy(): void;
}

/** A refused body is read on and thrown away within these, so that the client sees the reply and not a reset. */
const LINGER_MS = 2000;
const LINGER_BYTES = 32 * 1024 * 1024;

/** Serves a fetch handler over HTTP/1.1. Rejects when the address can't be had. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const handler = getRequestListener(
    (request, env) => {
      const { incoming, outgoing } = env as NodeEnv;
      const finish = (response: Response) => {
        if (!incoming.complete) lingerThenClose(incoming, outgoing);
        return response;
      };
      const response = options.fetch(request, env as NodeEnv);
      return response instanceof Promise ? response.then(finish) : finish(response);
    },
    // HTTP/1.0 needs no Host; without one in HTTP/1.1, Node answers 400 by itself.
    { overrideGlobalObjects: true, autoCleanupIncoming: false, errorHandler: unfit, hostname: 'localhost' },
  );
  const server = createServer({
    keepAliveTimeout: options.keepAlive,
    // Node closes idle sockets a second after what it tells clients; both outlive a balancer's 60 s.
    headersTimeout: options.keepAlive + 5000,
    // The gateway has its own, shorter limit for bodies and answers 408 as a problem.
    requestTimeout: 0,
    connectionsCheckingInterval: 1000,
    maxHeaderSize: 32 * 1024,
    keepAliveInitialDelay: 30_000,
    keepAlive: true,
  });
  // One more than is allowed, so that the excess is seen.
  server.maxHeadersCount = options.maxHeaders + 1;
  server.on('request', handler);
  // Who asks first is told to go on only when the body is wanted.
  server.on('checkContinue', handler);
  server.on('clientError', badRequest);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const { host, port } = options.address;
      reject(new StartError(`cannot listen on ${host}:${port}: ${error.message}`));
    });
    server.listen(options.address.port, options.address.host, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: (idle = 0) => closeServer(server, idle),
    destroy: () => server.closeAllConnections(),
  };
}

function closeServer(server: Server, idle: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.close(), idle);
    // The HTTP server's own would begin with the idle connections.
    NetServer.prototype.close.call(server, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Requests of which no URL can be made: their target is none. */
function unfit(error: unknown): Response {
  const { status, body } =
    error instanceof RequestError
      ? problemOf(...BAD_HTTP)
      : problemOf('internal', 'something went wrong here; the events may be sent again');
  const headers = { 'content-type': 'application/problem+json' };
  return new Response(body, { status, headers });
}

function problemOf(code: ErrorCode, detail: string): { status: number; title: string; body: string } {
  const { status, title } = errorRow(code);
  const type = `urn:postern:problem:${code}`;
  return { status, title, body: JSON.stringify({ type, title, status, detail }) };
}

const BAD_HTTP: [ErrorCode, string] = ['bad_request', 'the request is not well-formed HTTP/1.1'];
const FAULTS: Record<string, [ErrorCode, string]> = {
  HPE_HEADER_OVERFLOW: ['headers_too_many', 'the header fields are too long together'],
  ERR_HTTP_REQUEST_TIMEOUT: ['body_timeout', 'the header fields did not come in time'],
};

/** Requests that never reach the app: malformed framing, too slow or too large a head. */
function badRequest(error: NodeJS.ErrnoException, socket: import('node:stream').Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const { status, title, body } = problemOf(...(FAULTS[error.code ?? ''] ?? BAD_HTTP));
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nconnection: close\r\ncontent-type: application/problem+json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
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
