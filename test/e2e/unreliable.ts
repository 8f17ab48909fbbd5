import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A network between a client and a gateway. */
export interface Unreliable {
  url: string;
  /** Connections over which a client has sent something. */
  used(): number;
  /** The next reply does not reach its client: the connection breaks instead. */
  loseReply(): void;
  /** Replies lost so far. */
  lost(): number;
  close(): Promise<void>;
}

export async function startUnreliable(port: number): Promise<Unreliable> {
  const sockets = new Set<Socket>();
  let used = 0;
  let lost = 0;
  let toLose = 0;
  const server = createServer((client) => {
    const gateway = connect(port, '127.0.0.1');
    const drop = () => {
      client.destroy();
      gateway.destroy();
    };
    for (const socket of [client, gateway]) {
      sockets.add(socket);
      socket.on('error', drop);
      socket.on('close', () => {
        sockets.delete(socket);
        drop();
      });
    }
    client.once('data', () => used++);
    client.pipe(gateway);
    gateway.on('data', (bytes) => {
      if (lost === toLose) client.write(bytes);
      else {
        lost++;
        drop();
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    used: () => used,
    loseReply: () => void toLose++,
    lost: () => lost,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
