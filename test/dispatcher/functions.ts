import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcp, type Socket } from 'node:net';

export interface TestServer {
  url: string;
  port: number;
  /** Connections so far, also closed ones. */
  connections(): number;
  /** Connections that are open now. */
  open(): number;
  close(): Promise<void>;
}

/** A function behind node:http. `setUp` may change the server before it listens; port 0 is any. */
export async function httpFunction(
  handle: RequestListener,
  setUp: (server: Server) => void = () => {},
  port = 0,
): Promise<TestServer> {
  const server = createServer(handle);
  setUp(server);
  return listening(server, () => server.closeAllConnections(), port);
}

/** A function that speaks bytes. */
export async function rawFunction(connected: (socket: Socket) => void): Promise<TestServer> {
  return listening(
    createTcp((socket) => {
      socket.on('error', () => {});
      connected(socket);
    }),
    () => {},
  );
}

async function listening(
  server: ReturnType<typeof createTcp>,
  closeAll: () => void,
  wantedPort = 0,
): Promise<TestServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(wantedPort, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}/fn?x=1`,
    connections: () => connections,
    open: () => sockets.size,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        closeAll();
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** The whole body of a request. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
