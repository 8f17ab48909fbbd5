import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server that can be made to lose replies, or to be closed. */
export interface LossyProxy {
  port: number;
  /** `pass`; `lose`: requests get through and their replies do not; `closed`: nothing gets through. */
  mode: 'pass' | 'lose' | 'closed';
  /** Replies lost, and requests or connections turned away, so far. */
  readonly lost: number;
  readonly turned: number;
  /** Requests that were let through and are not answered. */
  readonly busy: number;
  close(): Promise<void>;
}

/** Starts a proxy to a port of the loopback, for HTTP without pipelining. */
export async function startLossyProxy(target: number): Promise<LossyProxy> {
  const clients = new Set<Socket>();
  const waiting = new Set<Socket>();
  const counts = { lost: 0, turned: 0 };
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    const end = () => {
      waiting.delete(client);
      clients.delete(client);
      client.destroy();
      upstream.destroy();
    };
    const turnAway = () => {
      counts.turned++;
      end();
    };
    clients.add(client);
    for (const socket of [client, upstream]) socket.on('close', end);
    client.on('error', end);
    upstream.on('error', turnAway);
    client.on('data', (bytes) => {
      if (proxy.mode === 'closed' && !waiting.has(client)) turnAway();
      else {
        waiting.add(client);
        upstream.write(bytes);
      }
    });
    upstream.on('data', (bytes) => {
      waiting.delete(client);
      if (proxy.mode !== 'lose') client.write(bytes);
      else {
        counts.lost++;
        end();
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: LossyProxy = {
    port: (server.address() as AddressInfo).port,
    mode: 'pass',
    get lost() {
      return counts.lost;
    },
    get turned() {
      return counts.turned;
    },
    get busy() {
      return waiting.size;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const client of clients) client.destroy();
      await closed;
    },
  };
  return proxy;
}
