import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Serves pages on an origin of its own. */
export interface Pages {
  /** `http://localhost:PORT`. */
  origin: string;
  /** The same pages under another host, which makes them another origin. */
  stranger: string;
  /** Puts a file at a path; HTML unless it ends in `.js`. */
  put(path: string, text: string, headers?: Record<string, string>): void;
  close(): Promise<void>;
}

const BLANK = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>page</title>';

/** Starts a server whose every path is an empty page until something else is put there. */
export async function startPages(): Promise<Pages> {
  const files = new Map<string, { text: string; headers: Record<string, string> }>();
  const server = createServer((request, response) => {
    const path = request.url!.split('?')[0]!;
    const type = path.endsWith('.js') ? 'text/javascript' : 'text/html';
    const { text, headers } = files.get(path) ?? { text: BLANK, headers: {} };
    response.writeHead(200, { 'content-type': `${type}; charset=utf-8`, ...headers }).end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://localhost:${port}`,
    stranger: `http://127.0.0.1:${port}`,
    put: (path, text, headers = {}) => void files.set(path, { text, headers }),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
