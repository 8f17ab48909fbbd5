import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isPoison, numberOf, STRANGER, textOf } from './events.ts';

/** How the function behaves: `close` ends the connection instead of an answer, `flaky` fails now and then. */
type Mood = 'well' | 'flaky' | 'hanging' | 'closing';

/** A function over HTTP that keeps a record of what it took. */
export interface TestFunction {
  readonly url: string;
  mood: Mood;
  /** By subscription (the path) and id: how often it was answered 2xx. */
  readonly taken: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Ids whose data was not what the client sent. */
  readonly altered: Set<string>;
  /** Nothing listens. */
  down(): Promise<void>;
  up(): Promise<void>;
}

/** Starts it on a free port of the loopback. `random` gives numbers in [0, 1). */
export async function startFunction(random: () => number): Promise<TestFunction> {
  const taken = new Map<string, Map<string, number>>();
  const altered = new Set<string>();
  const answer = (request: IncomingMessage, response: ServerResponse, body: string) => {
    const { mood } = fn;
    if (mood === 'hanging') return;
    if (mood === 'closing' || (mood === 'flaky' && random() < 0.1)) {
      request.socket.destroy();
      return;
    }
    if (mood === 'flaky' && random() < 0.3) {
      response.writeHead(random() < 0.5 ? 500 : 429, { 'retry-after': '0' }).end();
      return;
    }
    const ids = idsOf(request, body, altered);
    if (ids.length === 1 && isPoison(numberOf(ids[0]!))) {
      response.writeHead(400).end('never');
      return;
    }
    const name = request.url!.slice(1);
    let mine = taken.get(name);
    if (mine === undefined) {
      mine = new Map();
      taken.set(name, mine);
    }
    for (const id of ids) mine.set(id, (mine.get(id) ?? 0) + 1);
    response.writeHead(204).end();
  };
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => answer(request, response, body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const fn: TestFunction = {
    url: `http://127.0.0.1:${port}`,
    mood: 'well',
    taken,
    altered,
    down: async () => {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
    up: async () => {
      if (server.listening) return;
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
  };
  return fn;
}

function idsOf(request: IncomingMessage, body: string, altered: Set<string>): string[] {
  if (!request.headers['content-type']?.startsWith('application/cloudevents-batch+json')) {
    const id = String(request.headers['ce-id']);
    if (id === STRANGER) return [];
    if (body !== textOf(numberOf(id))) altered.add(id);
    return [id];
  }
  const events = (JSON.parse(body) as { id: string }[]).filter(({ id }) => id !== STRANGER);
  for (const { id } of events) if (!body.includes(`"data":${textOf(numberOf(id))}`)) altered.add(id);
  return events.map(({ id }) => id);
}
