import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { StartError } from '../core/lifecycle.ts';
import { printable } from '../core/printable.ts';
import { sampleOrder } from './sample-orders.ts';

/** Characters of a payload that the sample function prints. */
const SHOWN = 200;

/**
 * The sample functions of `postern dev`: they print each CloudEvent (binary mode) that they are called with.
 * Resolves when it listens on loopback, with what ends it; rejects when the port is taken.
 */
export async function startSampleFunction(port: number, print: (line: string) => void): Promise<() => void> {
  const server = createServer((request, response) => void answer(request, response, print));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new StartError(`the sample function cannot listen on port ${port}: ${error.message}`)),
    );
    server.listen(port, '127.0.0.1', resolve);
  });
  return () => {
    server.closeAllConnections();
    server.close();
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  print: (line: string) => void,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString();
  const { 'ce-type': type, 'ce-id': id } = request.headers;
  // Anybody may have sent it: it must not steer the terminal, nor look like a line of ours.
  const shown = body.length > SHOWN ? `${body.slice(0, SHOWN)}...` : body;
  print(printable(`sample function got ${type} ${id}: ${shown}`));
  const order = sampleOrder(request.url!, body);
  if (order === null || order.body === null) response.writeHead(order?.status ?? 204).end();
  else {
    response.writeHead(order.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(order.body));
  }
}
