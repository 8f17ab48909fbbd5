// `npm run load:outage`: memory of the gateway while Kafka is away and events go to the spool, and how fast it is emptied.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { eventText } from './events.ts';
import { startRig } from './rig.ts';
import { rssMiB } from './scenario.ts';

const { values: options } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, rate: { type: 'string', default: '5000' } },
});
const BATCH = 50;
const rate = Number(options.rate);
const spool = await mkdtemp(join(tmpdir(), 'postern-outage-'));
const rig = await startRig([], `, spool: { path: ${spool}, max: 8GiB }`);
let sent = 0;
let accepted = 0;
let refused = 0;
let waiting = 0;
let most = 0;

/** Sends for so many seconds at the rate; samples the memory. */
async function live(seconds: number, done: () => boolean = () => false): Promise<void> {
  const started = performance.now();
  let due = 0;
  while (performance.now() - started < seconds * 1000 && !done()) {
    for (const target = ((performance.now() - started) / 1000) * rate; due < target; due += BATCH)
      void post();
    most = Math.max(most, rssMiB(rig.gateway.pid));
    await sleep(10);
  }
  while (waiting > 0) await sleep(10);
}

async function post(): Promise<void> {
  waiting++;
  const from = sent;
  sent += BATCH;
  const events = Array.from({ length: BATCH }, (_, i) => eventText('iot', 'o', from + i));
  try {
    const response = await fetch(`${rig.url}/events/iot?key=load-iot`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `[${events.join(',')}]`,
    });
    await response.arrayBuffer();
    if (response.status === 202) accepted += BATCH;
    else refused += BATCH;
  } catch {
    refused += BATCH;
  } finally {
    waiting--;
  }
}

async function spooled(): Promise<number> {
  const text = await (await fetch(`${rig.admin}/metrics`)).text();
  return Number(/^postern_spool_events (\d+)$/m.exec(text)?.[1]);
}

try {
  await live(10);
  const before = most;
  rig.kafka.kill('SIGKILL');
  most = 0;
  await live(Number(options.minutes) * 60);
  const held = await spooled();
  console.log(
    `before: ${before.toFixed(0)} MiB; in ${options.minutes} min without Kafka: most ${most.toFixed(0)} MiB`,
  );
  console.log(`${accepted} accepted, ${refused} refused at ${rate} events/s; ${held} events in the spool`);
  await rig.kafka.restart();
  most = 0;
  const started = performance.now();
  const atStart = accepted;
  let left = held;
  let empty = false;
  const watching = (async () => {
    while (left > 0) {
      await sleep(200);
      left = await spooled();
    }
    empty = true;
  })();
  await live(3600, () => empty);
  await watching;
  const seconds = (performance.now() - started) / 1000;
  const drained = held + accepted - atStart;
  const speed = drained / seconds;
  console.log(
    `emptied in ${seconds.toFixed(0)} s beside live traffic: ${speed.toFixed(0)} events/s forwarded, ${(speed / rate).toFixed(1)} times the live rate; most ${most.toFixed(0)} MiB`,
  );
  console.log(`${refused} refused in all`);
} finally {
  await rig.stop();
  await rm(spool, { recursive: true, force: true });
}
