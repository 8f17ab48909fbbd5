import { createServer } from 'node:http';

/** The floor that the gateway is compared to: bare node:http that reads the body and answers. */
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    response.writeHead(body.length > 0 ? 202 : 400, { 'content-length': 0 });
    response.end();
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => process.stdout.write('ready\n'));
process.on('SIGTERM', () => process.exit(0));
