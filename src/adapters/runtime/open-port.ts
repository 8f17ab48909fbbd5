import { type AddressInfo, createServer, type ListenOptions, type Server, type ServerOpts } from 'node:net';
import type { Address } from '../../config/values/address.ts';

/** How a port is opened. */
export interface PortOptions {
  address: Address;
  /**
   * Listening sockets of the port. Node accepts one connection of each socket in a round of its loop. Rounds get long
   * under an attack, and with one socket a client would wait for one round for each connection before its own.
   */
  sockets: number;
  /** Settings of each connection. */
  socket: ServerOpts;
}

/**
 * Opens a port for a server that serves HTTP, and returns the further servers that hand it their connections. Rejects
 * with the system's error when the port cannot be had.
 */
export async function openPort(server: Server, options: PortOptions): Promise<Server[]> {
  const { sockets, socket } = options;
  const { host, port } = options.address;
  if (sockets === 1) {
    await listen(server, { host, port });
    return [];
  }
  if (port !== 0) await probe(host, port);
  try {
    await listen(server, { host, port, reusePort: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTSUP') throw error;
    // Not every system shares connections out among sockets.
    await listen(server, { host, port });
    return [];
  }
  const shared = { host, port: (server.address() as AddressInfo).port, reusePort: true };
  const more = Array.from({ length: sockets - 1 }, () =>
    // As an HTTP server's own: a client that has ended its half still gets its answer.
    createServer({ ...socket, allowHalfOpen: true, noDelay: true }, (one) => server.emit('connection', one)),
  );
  try {
    await Promise.all(more.map((one) => listen(one, shared)));
  } catch (error) {
    for (const one of [server, ...more]) one.close();
    throw error;
  }
  return more;
}

/** Rejects when the port is in use. With `reusePort` the system would share another process's port instead. */
async function probe(host: string, port: number): Promise<void> {
  const alone = createServer();
  await listen(alone, { host, port });
  await new Promise((resolve) => alone.close(resolve));
}

function listen(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
