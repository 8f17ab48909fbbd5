import { createServer } from 'node:http';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { type Kind, schemas } from '../client/events.ts';

// The floor that the gateway is compared to: node:http, JSON.parse and ajv with the same schemas, and nothing else.
const ajv = new Ajv2020();
formats.default(ajv);
const checks = { click: ajv.compile(schemas.click), iot: ajv.compile(schemas.iot) };

const server = createServer((request, response) => {
  const check = checks[request.url!.slice('/events/'.length, request.url!.indexOf('?')) as Kind];
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    response.writeHead(statusOf(check, body.toString()), { 'content-length': 0 });
    response.end();
  });
});

function statusOf(check: (event: unknown) => unknown, text: string): number {
  let events: unknown;
  try {
    events = JSON.parse(text);
  } catch {
    return 400;
  }
  if (!Array.isArray(events)) return check(events) ? 202 : 422;
  for (const event of events) if (!check(event)) return 422;
  return 202;
}

// As the gateway keeps idle connections.
server.keepAliveTimeout = 75_000;
server.listen(Number(process.argv[2]), '127.0.0.1', () => process.stdout.write('ready\n'));
process.on('SIGTERM', () => process.exit(0));
