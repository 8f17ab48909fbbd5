import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** States of a connection. A new connection makes the server close one of the lowest state. */
export const LEAVING = 0;
/** No complete head has arrived yet. */
export const SILENT = 1;
/** All its requests are answered. */
export const IDLE = 2;
export const BUSY = 3;
export type Rank = typeof LEAVING | typeof SILENT | typeof IDLE | typeof BUSY;

/** The connections of one address. */
export interface Group {
  key: string;
  /** It stands for many clients, and has no cap of its own. */
  exempt: boolean;
  members: Connection[];
  /** How many members have each rank. */
  counts: number[];
}

/** Milliseconds after which a request that is still incomplete may be ended for a new connection. */
const STUCK_MS = 2000;
/** Milliseconds that the client may read nothing of an answer; twice that when the system took a part of it at once. */
const UNREAD_MS = 10_000;

/** One client's connection and its requests. */
export class Connection {
  rank: Rank = SILENT;
  /** Time of `performance.now()` when it was accepted, got its rank, or sent its last request. */
  since = performance.now();
  /** Its index in its group; -1 when it is closed. */
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
  /** The last answer. It is sent after those of the requests before. */
  refusal: string | null = null;
  /** Whether bytes waited for the client when `watchAnswer` looked last. */
  #blocked = false;

  constructor(socket: Socket, group: Group) {
    this.socket = socket;
    this.group = group;
  }

  /** Whether its request is incomplete for too long. */
  isStuck(now: number): boolean {
    return this.request?.complete === false && now - this.since > STUCK_MS;
  }

  /** Sets a time limit while the client reads no bytes of its answer. Node's socket timer counts it. */
  watchAnswer(): void {
    const blocked = this.socket.writableLength > 0;
    if (blocked === this.#blocked) return;
    this.#blocked = blocked;
    this.socket.setTimeout(blocked ? UNREAD_MS : 0);
  }
}
