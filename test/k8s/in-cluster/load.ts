// Runs in a pod: sends events at a rate over kept connections until the file `stop` is there, then balances the books.
// Counts the outcome of each request for the phase that the file `phase` names.
import { existsSync, readFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Balance, balance } from './ledger.ts';

interface Phase {
  /** Replies by status; 503 without Retry-After apart. */
  replies: { [status: string]: number };
  /** Requests without a reply, by what went wrong. */
  broken: { [code: string]: number };
  /** Milliseconds of the slowest reply. */
  slowest: number;
}

export interface LoadResult {
  phases: { [name: string]: Phase };
  books: Balance;
  /** Events that were never acknowledged, however often they were sent. */
  givenUp: number;
}

const { URL: url = '', BROKERS: brokers = '', FUNCTION: fn = '', RATE = '500' } = process.env;
const CONTROL = '/tmp';
const TRIES = 100;
/** One connection each: all of them are in use, and idle most of the time. */
const agents = Array.from({ length: 50 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
const phases: LoadResult['phases'] = {};
const acknowledged = new Set<string>();
let [current, givenUp, inFlight, requests] = ['start', 0, 0, 0];

function phase(): Phase {
  phases[current] ??= { replies: {}, broken: {}, slowest: 0 };
  return phases[current]!;
}

function post(body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const agent = agents[requests++ % agents.length]!;
    const sent = request(url, { method: 'POST', agent, headers, timeout: 60_000 }, (reply) => {
      reply
        .resume()
        .on('end', () => resolve(reply))
        .on('error', reject);
    });
    sent.on('timeout', () => sent.destroy(Object.assign(new Error('no reply'), { code: 'TIMEOUT' })));
    sent.on('error', reject).end(body);
  });
}

/** Sends an event until it is acknowledged, as a device with a memory would. */
async function send(id: string): Promise<void> {
  inFlight++;
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const { replies, broken } = phase();
    const started = performance.now();
    try {
      const { statusCode, headers } = await post(JSON.stringify({ id, at: Date.now() }));
      const key =
        statusCode === 503 && headers['retry-after'] === undefined
          ? '503 without Retry-After'
          : String(statusCode);
      replies[key] = (replies[key] ?? 0) + 1;
      phase().slowest = Math.max(phase().slowest, Math.round(performance.now() - started));
      if (statusCode! < 300) {
        acknowledged.add(id);
        break;
      }
    } catch (error) {
      const { code = (error as Error).message } = error as NodeJS.ErrnoException;
      broken[code] = (broken[code] ?? 0) + 1;
    }
    if (attempt === TRIES) givenUp++;
    await sleep(500 + Math.random() * 500);
  }
  inFlight--;
}

const started = performance.now();
for (let count = 0; !existsSync(`${CONTROL}/stop`); ) {
  // Empty while it is being written.
  if (existsSync(`${CONTROL}/phase`)) current = readFileSync(`${CONTROL}/phase`, 'utf8') || current;
  const due = ((performance.now() - started) / 1000) * Number(RATE);
  // After a stall the lost time is not caught up with in one burst.
  if (due - count > Number(RATE)) count = Math.floor(due - Number(RATE) / 10);
  while (count < due) void send(`${process.env.HOSTNAME}-${count++}`);
  await sleep(10);
}
while (inFlight > 0) await sleep(100);
const books = await balance(acknowledged, { brokers, topic: 'load', fn, patience: 300_000 });
const result: LoadResult = { phases, books, givenUp };
process.stdout.write(`RESULT ${JSON.stringify(result)}\n`);
