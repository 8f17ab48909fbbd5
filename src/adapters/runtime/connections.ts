import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { addressGroup } from '../../core/address.ts';
import { type CloseDeadlines, type CloseTimes, closeDeadlines, isOver } from './closing.ts';
import { BUSY, Connection, type Group, IDLE, LEAVING } from './connection.ts';
import { ConnectionGroups, type ConnectionLimits, newGroup } from './connection-groups.ts';
import { Pipelining } from './pipelining.ts';

const SWEEP_MS = 500;
/** Milliseconds from the last answer to the end of its connection. Bytes that nobody read then cause a reset. */
const LEAVE_MS = 1000;

const CONNECTION = Symbol('connection');
type Owned = Socket & { [CONNECTION]: Connection };

/** The connections of a server: how many there may be, how long each may stay, and which one is closed for a new one. */
export class Connections {
  /** Most connections at once. README.md says which one is closed for a new one. */
  #total: number;
  readonly #server: Server;
  readonly #limits: ConnectionLimits;
  readonly #handler: RequestListener;
  /** The answer to a new connection when no other one may be closed for it. */
  readonly #full: string;
  readonly #groups = new ConnectionGroups();
  readonly #pipelining = new Pipelining();
  readonly #sweeping: NodeJS.Timeout;
  #closing: CloseDeadlines | null = null;
  readonly #released: (this: ServerResponse) => void;

  constructor(server: Server, limits: ConnectionLimits, handler: RequestListener, full: string) {
    this.#server = server;
    this.#limits = limits;
    this.#total = limits.total;
    this.#handler = handler;
    this.#full = full;
    const connections = this;
    this.#released = function () {
      connections.#release((this.req.socket as Owned)[CONNECTION]);
    };
    server.on('connection', (socket) => this.#admit(socket));
    const take: RequestListener = (request, response) => this.#take(request, response);
    server.on('request', take);
    // A client that sends `Expect: 100-continue` gets 100 only when its body is wanted.
    server.on('checkContinue', take);
    // Another `Expect` is ignored: the answer that Node would give counts in no limit.
    server.on('checkExpectation', take);
    this.#sweeping = setInterval(() => this.#sweep(performance.now()), SWEEP_MS).unref();
  }

  get size(): number {
    return this.#groups.size;
  }

  /** Sets how many there may be, within the limits. Closes those beyond at once, except ones that may not be closed. */
  resize(total: number): void {
    this.#total = Math.min(total, this.#limits.total);
    const now = performance.now();
    while (this.#groups.size > this.#total && this.#evict(null, now));
  }

  /** Ends a connection whose next request cannot be read; `text` is its last answer, when one can be given. */
  refuse(socket: Socket, text: string): void {
    const connection = (socket as Owned)[CONNECTION];
    // A client that has sent nothing could take the answer for that of a request which is on its way.
    if (!socket.writable || socket.bytesRead === 0) socket.destroy();
    else if (connection.rank !== LEAVING && connection.refusal === null) {
      connection.refusal = text;
      this.#leaveAnswered(connection);
    }
  }

  /** Stops accepting, on `further` servers too; resolves when each request is answered and all connections are closed. */
  async close(times: CloseTimes, further: readonly NetServer[]): Promise<void> {
    const now = performance.now();
    this.#closing = closeDeadlines(times, now);
    // A timer may come a moment early.
    const timers = Object.values(this.#closing).map((at) =>
      setTimeout(() => this.#sweep(performance.now()), at - now + 2),
    );
    const closed = [this.#server, ...further].map(
      // The HTTP server's own would begin with the idle connections, and no longer look at the time of heads.
      (one) => new Promise((resolve) => NetServer.prototype.close.call(one, resolve)),
    );
    // A server without connections closes at once, while those of the others still need the sweep.
    await Promise.all(closed);
    for (const timer of timers) clearTimeout(timer);
    clearInterval(this.#sweeping);
  }

  /** Closes all connections at once. */
  destroy(): void {
    for (const { members } of this.#groups.all.values()) while (members.length > 0) this.#drop(members[0]!);
  }

  #admit(socket: Socket): void {
    const address = socket.remoteAddress;
    if (address === undefined) {
      socket.destroy();
      return;
    }
    const key = addressGroup(address);
    const group = this.#groups.all.get(key) ?? newGroup(key, this.#limits.isExempt(address));
    const connection = new Connection(socket, group);
    (socket as Owned)[CONNECTION] = connection;
    socket.once('close', () => this.#forget(connection));
    const hasPlace = this.#makePlace(group, connection.since);
    this.#groups.add(connection);
    if (!hasPlace) this.#leave(connection, this.#full);
  }

  /** Closes connections until one more of the group fits. False when too few may be closed. */
  #makePlace(group: Group, now: number): boolean {
    for (;;) {
      const isOver = !group.exempt && group.members.length >= this.#limits.perAddress;
      if (!isOver && this.#groups.size < this.#total) return true;
      if (!this.#evict(isOver ? group : null, now)) return false;
    }
  }

  #evict(group: Group | null, now: number): boolean {
    const victim = this.#groups.victim(group, now);
    if (victim !== null) this.#drop(victim);
    return victim !== null;
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const connection = (request.socket as Owned)[CONNECTION];
    if (connection.rank === LEAVING || connection.refusal !== null) return;
    const now = performance.now();
    if (connection.rank === BUSY) connection.since = now;
    else this.#groups.move(connection, BUSY, now);
    if (this.#pipelining.isFree(connection)) this.#run(connection, request, response);
    else if (!this.#pipelining.keep(connection, request, response)) connection.refusal = this.#full;
  }

  #run(connection: Connection, request: IncomingMessage, response: ServerResponse): void {
    connection.running++;
    connection.request = request;
    connection.response = response;
    response.on('close', this.#released);
    this.#handler(request, response);
  }

  #release(connection: Connection): void {
    connection.running--;
    if (connection.place < 0 || connection.rank === LEAVING || this.#leaveAnswered(connection)) return;
    // Not at once: a thousand requests that need no wait would hold up all other work.
    if (this.#pipelining.hasWaiting(connection)) setImmediate(() => this.#runNext(connection));
    else if (connection.running === 0) {
      const now = performance.now();
      this.#groups.move(connection, IDLE, now);
      if (this.#closing !== null && isOver(connection, this.#closing, now)) this.#drop(connection);
    }
  }

  #runNext(connection: Connection): void {
    if (connection.place < 0 || connection.rank === LEAVING) return;
    const next = this.#pipelining.next(connection);
    if (next !== undefined) this.#run(connection, ...next);
  }

  /** Gives the last answer once those before it are out. */
  #leaveAnswered(connection: Connection): boolean {
    const { refusal, running, waiting, request, response } = connection;
    if (refusal === null) return false;
    // The fault is in the newest request when its body is incomplete. That request may already have its answer.
    const isUnread = running > 0 && request?.complete === false;
    if (running + (waiting?.length ?? 0) > (isUnread ? 1 : 0)) return false;
    this.#leave(connection, isUnread && response!.headersSent ? '' : refusal);
    return true;
  }

  #leave(connection: Connection, text: string): void {
    this.#groups.move(connection, LEAVING, performance.now());
    connection.socket.end(text, 'latin1');
  }

  #sweep(now: number): void {
    const closing = this.#closing;
    for (const { members } of this.#groups.all.values()) {
      for (let i = members.length - 1; i >= 0; i--) {
        const one = members[i]!;
        if (one.rank === LEAVING ? now - one.since > LEAVE_MS : closing && isOver(one, closing, now))
          this.#drop(one);
        else if (one.rank === BUSY) one.watchAnswer();
      }
    }
  }

  #drop(connection: Connection): void {
    this.#forget(connection);
    connection.socket.destroy();
  }

  #forget(connection: Connection): void {
    this.#groups.delete(connection);
    this.#pipelining.forget(connection);
  }
}
