// `node load/dispatch/function.ts PORT WARM TOTAL`: a function that takes every event. Prints `warm` and `done` after so many events.
import { createServer } from 'node:http';

const [port, warm, total] = process.argv.slice(2).map(Number) as [number, number, number];
let events = 0;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    count(chunks);
    response.writeHead(204);
    response.end();
  });
});

function count(chunks: Buffer[]): void {
  const before = events;
  const isBatch = chunks[0]?.[0] === 0x5b;
  events += isBatch ? (JSON.parse(Buffer.concat(chunks).toString()) as unknown[]).length : 1;
  if (before < warm && events >= warm) process.stdout.write('warm\n');
  if (before < total && events >= total) process.stdout.write('done\n');
}

server.listen(port, '127.0.0.1', () => process.stdout.write('ready\n'));
process.on('SIGTERM', () => process.stdout.write(`${events} events\n`, () => process.exit(0)));
