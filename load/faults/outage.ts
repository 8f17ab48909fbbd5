import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../test/services/until.ts';
import { eventText } from '../client/events.ts';
import { type Rig, startRig } from '../rig/rig.ts';
import { rssMiB } from '../rig/usage.ts';
import { defineRun } from '../run.ts';

const BATCH = 50;
/** The spool must be empty again by then. */
const DRAIN_MS = 3_600_000;

export const outage = defineRun({
  about:
    'the gateway without Kafka: its memory while events go to the spool, and how fast the spool is emptied',
  options: {
    minutes: { type: 'string', default: '10' },
    /** Events a second. */
    rate: { type: 'string', default: '5000' },
  },
  async measure({ minutes, rate }) {
    const spool = await mkdtemp(join(tmpdir(), 'postern-outage-'));
    const rig = await startRig({ log: `, spool: { path: ${spool}, max: 8GiB }` });
    try {
      await withoutKafka(rig, Number(minutes), Number(rate));
    } finally {
      await rig.stop();
      await rm(spool, { recursive: true, force: true });
    }
    return true;
  },
});

async function withoutKafka(rig: Rig, minutes: number, rate: number): Promise<void> {
  const client = new Client(rig, rate);
  await client.send(10_000);
  const before = client.takeMost();
  rig.kafka.kill('SIGKILL');
  await client.send(minutes * 60_000);
  const held = await spooled(rig);
  console.log(
    `before: ${before.toFixed(0)} MiB; in ${minutes} min without Kafka: most ${client.takeMost().toFixed(0)} MiB`,
  );
  const { accepted, refused } = client;
  console.log(`${accepted} accepted, ${refused} refused at ${rate} events/s; ${held} events in the spool`);
  await rig.kafka.restart();
  const started = performance.now();
  let empty = false;
  const watching = until('the spool is empty', async () => (await spooled(rig)) === 0, {
    ms: DRAIN_MS,
    every: 200,
  }).finally(() => {
    empty = true;
  });
  await Promise.all([watching, client.send(DRAIN_MS, () => empty)]);
  const seconds = (performance.now() - started) / 1000;
  const speed = (held + client.accepted - accepted) / seconds;
  console.log(
    `emptied in ${seconds.toFixed(0)} s beside live traffic: ${speed.toFixed(0)} events/s forwarded, ${(speed / rate).toFixed(1)} times the live rate; most ${client.takeMost().toFixed(0)} MiB`,
  );
  console.log(`${client.refused} refused in all`);
}

/** Posts batches at a constant rate, and samples the gateway's memory meanwhile. */
class Client {
  accepted = 0;
  refused = 0;
  #sent = 0;
  #waiting = 0;
  #most = 0;
  readonly #rig: Rig;
  readonly #rate: number;

  constructor(rig: Rig, rate: number) {
    this.#rig = rig;
    this.#rate = rate;
  }

  async send(ms: number, done: () => boolean = () => false): Promise<void> {
    const started = performance.now();
    let due = 0;
    while (performance.now() - started < ms && !done()) {
      const target = ((performance.now() - started) / 1000) * this.#rate;
      for (; due < target; due += BATCH) void this.#post();
      this.#most = Math.max(this.#most, rssMiB(this.#rig.gateway.pid));
      await sleep(10);
    }
    await until('every request is answered', () => this.#waiting === 0, { every: 10 });
  }

  /** The most memory since it was last asked, in MiB. */
  takeMost(): number {
    const most = this.#most;
    this.#most = 0;
    return most;
  }

  async #post(): Promise<void> {
    this.#waiting++;
    const from = this.#sent;
    this.#sent += BATCH;
    const events = Array.from({ length: BATCH }, (_, i) => eventText('iot', 'o', from + i));
    try {
      const response = await fetch(`${this.#rig.url}/events/iot?key=load-iot`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: `[${events.join(',')}]`,
      });
      await response.arrayBuffer();
      if (response.status === 202) this.accepted += BATCH;
      else this.refused += BATCH;
    } catch {
      this.refused += BATCH;
    } finally {
      this.#waiting--;
    }
  }
}

/** Events in the spool. */
async function spooled({ admin }: Rig): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Number(/^postern_spool_events (\d+)$/m.exec(text)?.[1]);
}
