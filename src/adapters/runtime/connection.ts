import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What a connection is doing, in the order in which connections give way to a new one. */
export const LEAVING = 0;
/** It has not sent a whole head yet. */
export const SILENT = 1;
/** All that it asked is answered. */
export const IDLE = 2;
export const BUSY = 3;
export type Rank = typeof LEAVING | typeof SILENT | typeof IDLE | typeof BUSY;

/** The connections of one address. */
export interface Group {
  key: string;
  /** It stands for many clients, and has no cap of its own. */
  exempt: boolean;
  members: Connection[];
  /** Of each rank. */
  counts: number[];
}

/** After which a request that still comes may give way to a new connection. */
const STUCK_MS = 2000;
/** For which an answer may wait without one byte of it being taken; twice that when a part of it went at once. */
const UNREAD_MS = 10_000;

/** One client's connection, and what it has asked. */
export class Connection {
  rank: Rank = SILENT;
  /** On the clock of `performance.now()`: when it came, or took its rank, or asked last. */
  since = performance.now();
  /** Where it is in its group; -1 when it is gone. */
  place = -1;
  readonly socket: Socket;
  readonly group: Group;
  /** Requests at work. */
  running = 0;
  /** Requests behind them that wait for their turn; null: there never were any. */
  waiting: [IncomingMessage, ServerResponse][] | null = null;
  /** The newest at work. */
  request: IncomingMessage | null = null;
  response: ServerResponse | null = null;
  /** The last answer, which goes out behind those of the requests before. */
  refusal: string | null = null;
  /** Whether bytes wait to be taken by the client, as last seen. */
  #blocked = false;

  constructor(socket: Socket, group: Group) {
    this.socket = socket;
    this.group = group;
  }

  /** That its request has not come whole, and should have. */
  isStuck(now: number): boolean {
    return this.request?.complete === false && now - this.since > STUCK_MS;
  }

  /** Gives a client that does not take its answer a time for the next bytes; Node's own timer sees whether they go. */
  watchAnswer(): void {
    const blocked = this.socket.writableLength > 0;
    if (blocked === this.#blocked) return;
    this.#blocked = blocked;
    this.socket.setTimeout(blocked ? UNREAD_MS : 0);
  }
}
