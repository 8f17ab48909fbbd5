import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { addressGroup } from '../../core/address.ts';
import { BUSY, Connection, type Group, IDLE, LEAVING, SILENT } from './connection.ts';
import { ConnectionGroups, newGroup } from './connection-groups.ts';

export interface ConnectionLimits {
  /** Milliseconds in which a head must have come, from its first byte or from the connect. */
  headTime: number;
  /** At once, all together. */
  total: number;
  /** Of one address; IPv6 counts by its /64. */
  perAddress: number;
  /** Whether an address stands for many clients and has no cap of its own. */
  isExempt(address: string): boolean;
}

export interface CloseTimes {
  /** Milliseconds until an idle connection is closed: a request may be on its way on it. */
  idle: number;
  /** Milliseconds until one is closed whose request has not come whole, or whose answer is not read. */
  stalled: number;
}

const SWEEP_MS = 500;
/** Between a last answer and the end of its connection: time to read it before what is unread makes a reset. */
const LEAVE_MS = 1000;
/** At a stop, for the head of a request that is on its way on a new connection. */
const SILENT_MS = 1000;
/** For which an answer may wait without one byte of it being taken; twice that when a part of it went at once. */
const UNREAD_MS = 10_000;
/** Requests of one connection that are worked on at once; further ones wait, and nothing is read meanwhile. */
const PIPELINED = 16;
/** Requests of one connection that wait so. */
const MAX_WAITING_OF_ONE = 1024;
/** The same of all connections: each holds a few kilobytes. */
const MAX_WAITING = 4096;

const CONNECTION = Symbol('connection');
type Owned = Socket & { [CONNECTION]: Connection };

/** Who is connected to a server: how many, for how long, and who goes when there is no place for another. */
export class Connections {
  /** As many may be there at once; who gives way is told in README.md. */
  #total: number;
  readonly #server: Server;
  readonly #limits: ConnectionLimits;
  readonly #handler: RequestListener;
  /** What a newcomer hears when all are at work. */
  readonly #full: string;
  readonly #groups = new ConnectionGroups();
  #waiting = 0;
  #closing: { silent: number; idle: number; stalled: number } | null = null;
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
    // Who asks first is told to go on only when the body is wanted.
    server.on('checkContinue', take);
    // What else is expected needs no answer of its own, and Node's would go out past all limits.
    server.on('checkExpectation', take);
    const sweep = setInterval(() => this.#sweep(performance.now()), SWEEP_MS).unref();
    server.on('close', () => clearInterval(sweep));
  }

  get size(): number {
    return this.#groups.size;
  }

  /** Sets how many there may be, at most as many as the limits say; what is too much goes at once, as far as it may. */
  resize(total: number): void {
    this.#total = Math.min(total, this.#limits.total);
    const now = performance.now();
    while (this.#groups.size > this.#total && this.#evict(null, now));
  }

  /** Ends a connection whose next request cannot be read; `text` is its last answer, when one can be given. */
  refuse(socket: Socket, text: string): void {
    const connection = (socket as Owned)[CONNECTION];
    // Nobody waits for an answer who has not asked: it could be taken for that of what is on its way.
    if (!socket.writable || socket.bytesRead === 0) socket.destroy();
    else if (connection.rank !== LEAVING && connection.refusal === null) {
      connection.refusal = text;
      this.#leaveAnswered(connection);
    }
  }

  /** Stops accepting; resolves when the last request is answered and all connections are closed. */
  close({ idle, stalled }: CloseTimes): Promise<void> {
    const now = performance.now();
    this.#closing = { silent: now + Math.min(idle, SILENT_MS), idle: now + idle, stalled: now + stalled };
    // A timer may come a moment early.
    const timers = Object.values(this.#closing).map((at) =>
      setTimeout(() => this.#sweep(performance.now()), at - now + 2),
    );
    return new Promise((resolve) => {
      // The HTTP server's own would begin with the idle connections, and no longer look at the time of heads.
      NetServer.prototype.close.call(this.#server, () => {
        for (const timer of timers) clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Ends all that is there. */
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
    const isOver = !group.exempt && group.members.length >= this.#limits.perAddress;
    const fits =
      (!isOver && this.#groups.size < this.#total) || this.#evict(isOver ? group : null, connection.since);
    this.#groups.add(connection);
    if (!fits) this.#leave(connection, this.#full);
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
    if (connection.running < PIPELINED) this.#run(connection, request, response);
    else this.#hold(connection, request, response);
  }

  #run(connection: Connection, request: IncomingMessage, response: ServerResponse): void {
    connection.running++;
    connection.request = request;
    connection.response = response;
    response.on('close', this.#released);
    this.#handler(request, response);
  }

  #hold(connection: Connection, request: IncomingMessage, response: ServerResponse): void {
    const { socket } = connection;
    if (connection.waiting === null) {
      connection.waiting = [];
      // Node goes on reading after each answer.
      socket.on('resume', () => {
        if (connection.waiting!.length > 0 || connection.refusal !== null) socket.pause();
      });
    }
    if (this.#waiting < MAX_WAITING && connection.waiting.length < MAX_WAITING_OF_ONE) {
      this.#waiting++;
      connection.waiting.push([request, response]);
    } else connection.refusal = this.#full;
    socket.pause();
  }

  #release(connection: Connection): void {
    connection.running--;
    if (connection.place < 0 || connection.rank === LEAVING || this.#leaveAnswered(connection)) return;
    const next = connection.waiting?.shift();
    if (next !== undefined) {
      this.#waiting--;
      if (connection.waiting!.length === 0) connection.socket.resume();
      this.#run(connection, ...next);
    } else if (connection.running === 0) {
      const now = performance.now();
      this.#groups.move(connection, IDLE, now);
      if (this.#closing !== null && this.#isOver(connection, this.#closing, now)) this.#drop(connection);
    }
  }

  /** Gives the last answer once those before it are out. */
  #leaveAnswered(connection: Connection): boolean {
    const { refusal, running, waiting, request, response } = connection;
    if (refusal === null) return false;
    // The fault is in this one when it has not come whole, and it may have been answered before.
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
        if (one.rank === LEAVING ? now - one.since > LEAVE_MS : closing && this.#isOver(one, closing, now))
          this.#drop(one);
        else if (one.rank === BUSY) watchAnswer(one);
      }
    }
  }

  #isOver(
    { rank, request, socket }: Connection,
    closing: CloseTimes & { silent: number },
    now: number,
  ): boolean {
    if (rank === BUSY) return now >= closing.stalled && (!request!.complete || socket.writableLength > 0);
    return now >= (rank === SILENT ? closing.silent : closing.idle);
  }

  #drop(connection: Connection): void {
    this.#forget(connection);
    connection.socket.destroy();
  }

  #forget(connection: Connection): void {
    this.#groups.delete(connection);
    this.#waiting -= connection.waiting?.splice(0).length ?? 0;
  }
}

/** Gives a client that does not take its answer a time for the next bytes; Node's own timer sees whether they go. */
function watchAnswer(connection: Connection): void {
  const blocked = connection.socket.writableLength > 0;
  if (blocked === connection.blocked) return;
  connection.blocked = blocked;
  connection.socket.setTimeout(blocked ? UNREAD_MS : 0);
}
