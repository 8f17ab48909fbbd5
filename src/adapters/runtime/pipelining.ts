import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connection } from './connection.ts';

/** Requests of one connection that are worked on at once; further ones wait, and nothing is read meanwhile. */
const AT_WORK = 16;
/** Requests of one connection that wait so. */
const MAX_WAITING_OF_ONE = 1024;
/** The same of all connections: each holds a few kilobytes. */
const MAX_WAITING = 4096;

/** The requests that clients send without waiting for earlier answers (RFC 9112 section 9.3.2): so many at once, the rest later. */
export class Pipelining {
  #waiting = 0;

  /** Whether a request of the connection may be worked on now. */
  isFree({ running }: Connection): boolean {
    return running < AT_WORK;
  }

  /** Keeps a request for later, and stops reading. False when too many wait. */
  keep(connection: Connection, request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = connection;
    if (connection.waiting === null) {
      connection.waiting = [];
      // Node goes on reading after each answer.
      socket.on('resume', () => {
        if (connection.waiting!.length > 0 || connection.refusal !== null) socket.pause();
      });
    }
    socket.pause();
    if (this.#waiting >= MAX_WAITING || connection.waiting.length >= MAX_WAITING_OF_ONE) return false;
    this.#waiting++;
    connection.waiting.push([request, response]);
    return true;
  }

  hasWaiting({ waiting }: Connection): boolean {
    return waiting !== null && waiting.length > 0;
  }

  /** The next request that waited; reading goes on after the last one. */
  next({ waiting, socket }: Connection): [IncomingMessage, ServerResponse] | undefined {
    const next = waiting?.shift();
    if (next === undefined) return undefined;
    this.#waiting--;
    if (waiting!.length === 0) socket.resume();
    return next;
  }

  /** The connection has ended. */
  forget({ waiting }: Connection): void {
    this.#waiting -= waiting?.splice(0).length ?? 0;
  }
}
