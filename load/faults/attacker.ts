// `node load/faults/attacker.ts URL BYTES`: a hostile client that sends bad bodies of every kind, so many bytes a second, until SIGTERM.
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setInterval as every } from 'node:timers/promises';
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';

const [url, rate] = [new URL(process.argv[2]!), Number(process.argv[3])];
const MB = 1024 * 1024;

interface Body {
  bytes: Buffer;
  encoding?: string;
}

const text = (value: string): Body => ({ bytes: Buffer.from(value) });
const members = (count: number) => Array.from({ length: count }, (_, i) => `"k${i}":${i}`).join(',');
const bodies: Body[] = [
  text(`[${'[],'.repeat(300_000)}[]]`),
  text(`[${'{},'.repeat(2_499)}{}]`),
  text(`{"id":"x","d":${'['.repeat(20_000)}${']'.repeat(20_000)}}`),
  text(`{${members(100_000)}}`.slice(0, MB)),
  text(`{${members(18_000)}}`),
  text(`{"id":"x","n":1${'0'.repeat(200_000)},"m":1e400}`),
  text(`[${'{"id":"a","type":7,"page":[],"timestamp":"no"},'.repeat(2_000)}{}]`),
  { bytes: Buffer.alloc(MB - 1, 0xff) },
  { bytes: Buffer.concat([Buffer.from('{"id":"'), Buffer.alloc(200_000, 0xfe), Buffer.from('"}')]) },
  { bytes: gzipSync(Buffer.alloc(100 * MB)), encoding: 'gzip' },
  { bytes: deflateSync(Buffer.alloc(100 * MB, ' ')), encoding: 'deflate' },
  { bytes: zstdCompressSync(Buffer.alloc(100 * MB, '[')), encoding: 'zstd' },
  { bytes: gzipSync(`[${'{"id":"a","b":[1,2,3]},'.repeat(2_400)}{}]`), encoding: 'gzip' },
];

const agent = new Agent({ keepAlive: true, maxSockets: 64 });
let waiting = 0;
const statuses: Record<string, number> = {};

function send({ bytes, encoding }: Body): void {
  waiting++;
  const done = (status: string) => {
    waiting--;
    statuses[status] = (statuses[status] ?? 0) + 1;
  };
  const post = request(url, {
    agent,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'content-length': bytes.length,
      ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
    },
  });
  let status = 'reset';
  post.on('response', (response) => {
    status = String(response.statusCode);
    response.resume();
  });
  post.on('error', () => {});
  post.on('close', () => done(status));
  post.end(bytes);
}

/** A connection whose body comes a byte at a time. */
function drip(): Socket {
  const socket = connect(Number(url.port), url.hostname);
  socket.on('error', () => {});
  socket.write(
    `POST ${url.pathname}${url.search} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n`,
  );
  const timer = setInterval(() => socket.write('{'), 200);
  socket.on('close', () => clearInterval(timer));
  return socket;
}

const slow = Array.from({ length: 100 }, drip);
process.stdout.write('ready\n');
process.on('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify(statuses)}\n`, () => process.exit(0));
});
let next = 0;
let budget = 0;
for await (const _ of every(20)) {
  for (const [index, socket] of slow.entries()) if (socket.destroyed) slow[index] = drip();
  budget = Math.min(budget + rate / 50, rate);
  // While the gateway lags no queue of bodies grows here.
  while (budget > 0 && waiting < 64) {
    const body = bodies[next++ % bodies.length]!;
    budget -= body.bytes.length;
    send(body);
  }
}
