import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { StartError } from '../core/lifecycle.ts';
import { printable } from '../core/printable.ts';

/** Most characters of a payload that are printed. */
const SHOWN = 200;
/** The sample card is refused above this total. */
const MAX_TOTAL = 1_000;

/**
 * Starts the sample functions of `postern dev`, which print each CloudEvent (binary mode) that they get. Resolves when
 * they listen on loopback, with a function that ends them. Rejects when the port is in use.
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
  // Anybody may have sent it, so it must not control the terminal or look like a line of Postern.
  const shown = body.length > SHOWN ? `${body.slice(0, SHOWN)}...` : body;
  print(printable(`sample function got ${type} ${id}: ${shown}`));
  const order = answerOrder(request.url!, body);
  if (order === null || order.body === null) response.writeHead(order?.status ?? 204).end();
  else {
    response.writeHead(order.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(order.body));
  }
}

/**
 * The functions of the sample workflow: /orders/reserve, charge and ship, and release and refund, which undo. Real ones
 * would remember the idempotency key. Null for another path.
 */
function answerOrder(path: string, body: string): { status: number; body: object | null } | null {
  const match = /^\/orders\/(reserve|release|charge|refund|ship)$/.exec(path);
  if (match === null) return null;
  const order = orderOf(body);
  if (order === null) return { status: 400, body: { error: 'not a step of an order' } };
  const { id, total } = order;
  switch (match[1]) {
    case 'reserve':
      return { status: 200, body: { reservation: `r-${id}` } };
    case 'charge':
      if (total > MAX_TOTAL) return { status: 402, body: { error: 'card refused' } };
      return { status: 200, body: { receipt: `c-${id}`, total } };
    case 'ship':
      return { status: 200, body: { parcel: `p-${id}` } };
    default:
      return { status: 204, body: null };
  }
}

function orderOf(body: string): { id: string; total: number } | null {
  try {
    const { input } = JSON.parse(body) as { input: { id: string; data: { total?: unknown } } };
    return { id: input.id, total: Number(input.data.total ?? 0) };
  } catch {
    return null;
  }
}
