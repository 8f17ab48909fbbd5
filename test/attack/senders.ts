import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** One whole request as it goes over the wire, or the beginning of one. */
export interface Wire {
  /** Name of its route. */
  route: string;
  bytes: Buffer;
}

/** The surroundings of a sender. */
interface Field {
  port: number;
  /** The addresses that it comes from, in turn. */
  addresses: string[];
  /** Time, as of performance.now(), at which it ends. */
  until: number;
  /** Statuses that came back, by route. */
  count(route: string, status: string): void;
}

/** Sends requests in its own way until the time is over; then it holds nothing any longer. */
export type Sender = (wires: Wire[], field: Field) => Promise<void>;

const STATUS = /HTTP\/1\.1 (\d{3}) /g;
/** For what was sent last: its replies are counted too. */
const LAST_MS = 1000;

/** A socket from one of the attacker's addresses; it is in `sockets` for as long as it lives. */
function opened(n: number, { port, addresses }: Field, sockets: Set<Socket>): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress: addresses[n % addresses.length]! });
  sockets.add(socket);
  socket.on('error', () => {});
  socket.on('close', () => sockets.delete(socket));
  return socket;
}

/** Counts the replies on a socket; one that ends without any is `none`. */
function counted(socket: Socket, route: string, { count }: Field): void {
  let replies = 0;
  socket.on('data', (bytes) => {
    for (const [, status] of bytes.toString('latin1').matchAll(STATUS)) {
      replies++;
      count(route, status!);
    }
  });
  socket.on('close', () => {
    if (replies === 0) count(route, 'none');
  });
}

async function ended(sockets: Set<Socket>): Promise<void> {
  for (const socket of sockets) socket.destroy();
  while (sockets.size > 0) await sleep(5);
}

/** Whole requests, each on a connection of its own: `connections` at once, and at most `rate` a second after these. */
export function flood({ connections, rate = 300 }: { connections: number; rate?: number }): Sender {
  return async (wires, field) => {
    const sockets = new Set<Socket>();
    let budget = connections;
    let sent = 0;
    for (let before = performance.now(); before < field.until; ) {
      for (; budget >= 1 && sockets.size < connections; budget--) {
        const { route, bytes } = wires[sent % wires.length]!;
        const socket = opened(sent++, field, sockets);
        counted(socket, route, field);
        socket.write(bytes);
      }
      await sleep(5);
      const now = performance.now();
      budget = Math.min(connections, budget + ((now - before) * rate) / 1000);
      before = now;
    }
    for (const end = field.until + LAST_MS; sockets.size > 0 && performance.now() < end; ) await sleep(5);
    await ended(sockets);
  };
}

/** Each request once, one after the other, with a pause between. */
export const inTurn: Sender = async (wires, field) => {
  const sockets = new Set<Socket>();
  for (const [n, { route, bytes }] of wires.entries()) {
    const socket = opened(n, field, sockets);
    counted(socket, route, field);
    socket.write(bytes);
    const end = performance.now() + 10_000;
    while (sockets.size > 0 && performance.now() < end) await sleep(5);
    await sleep(50);
  }
  await ended(sockets);
};

interface Hold {
  connections: number;
  /** Bytes that follow the beginning, again and again. */
  chunk?: Buffer;
  /** Milliseconds between two chunks. */
  every?: number;
  /** Chunks in all on one connection. */
  most?: number;
}

/** Requests that never end; a connection that is closed is opened again. */
export function hold({ connections, chunk, every = 1000, most = Number.POSITIVE_INFINITY }: Hold): Sender {
  return async (wires, field) => {
    const sockets = new Set<Socket>();
    const chunks = new Map<Socket, { left: number; next: number }>();
    let sent = 0;
    while (performance.now() < field.until) {
      while (sockets.size < connections) {
        const { route, bytes } = wires[sent % wires.length]!;
        const socket = opened(sent++, field, sockets);
        counted(socket, route, field);
        socket.on('close', () => chunks.delete(socket));
        // One that was answered holds nothing any longer: the next takes its place.
        socket.once('data', () => socket.destroy());
        socket.write(bytes);
        if (chunk !== undefined) chunks.set(socket, { left: most, next: performance.now() + every });
      }
      const now = performance.now();
      for (const [socket, due] of chunks) {
        if (now < due.next || due.left <= 0 || socket.writableLength > 0) continue;
        due.next += every;
        due.left--;
        socket.write(chunk!);
      }
      // One that is closed at once is not opened in a tight loop.
      await sleep(50);
    }
    await ended(sockets);
  };
}

/** Requests whose replies nobody reads. */
export function deaf({ connections }: { connections: number }): Sender {
  return async (wires, field) => {
    const sockets = new Set<Socket>();
    for (let sent = 0; performance.now() < field.until; await sleep(50)) {
      while (sockets.size < connections) {
        const { bytes } = wires[sent % wires.length]!;
        const socket = opened(sent++, field, sockets);
        // Before it is connected: else some is read ahead.
        socket.pause();
        socket.write(bytes);
      }
    }
    await ended(sockets);
  };
}
