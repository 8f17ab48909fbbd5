// Runs in a pod: a function that knows the ids of all events that it was called with. GET tells them.
import { createServer } from 'node:http';

const ids = new Set<string>();

createServer((request, response) => {
  if (request.method === 'GET') {
    response.end([...ids].join('\n'));
    return;
  }
  ids.add(String(request.headers['ce-id']));
  request.resume().on('end', () => response.writeHead(204).end());
}).listen(8080);

process.on('SIGTERM', () => process.exit(0));
