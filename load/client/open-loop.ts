import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { quantile } from '../report.ts';
import { eventText } from './events.ts';

export interface OpenLoop {
  run: string;
  /** Requests a second, each with one clickstream event. */
  rate: number;
  seconds: number;
}

/** Milliseconds from the planned time of a request to its answer. */
export interface OpenLoopOutcome {
  p50: number;
  p99: number;
  max: number;
  /** How much later than planned requests were sent, the 99th percentile. */
  late: number;
  /** Requests that were not answered 202. */
  failed: number;
}

/**
 * Sends at planned times, whether or not earlier requests are answered. A client that waits for answers would send
 * less to a server that stalls, and so hide the stall.
 */
export async function openLoop(url: string, { run, rate, seconds }: OpenLoop): Promise<OpenLoopOutcome> {
  const { origin, pathname, search } = new URL(url);
  const pool = new Pool(origin, { connections: 256 });
  const headers = { 'content-type': 'application/json', authorization: 'Bearer load-click' };
  const count = Math.ceil(rate * seconds);
  const times: number[] = [];
  const lates: number[] = [];
  const answers: Promise<void>[] = [];
  let failed = 0;
  const started = performance.now() + 10;

  async function send(n: number): Promise<void> {
    const planned = started + (n * 1000) / rate;
    lates.push(performance.now() - planned);
    const body = eventText('click', run, n);
    try {
      const reply = await pool.request({ path: pathname + search, method: 'POST', headers, body });
      await reply.body.dump();
      if (reply.statusCode !== 202) failed++;
    } catch {
      failed++;
    }
    times.push(performance.now() - planned);
  }

  while (answers.length < count) {
    const due = Math.floor(((performance.now() - started) * rate) / 1000) + 1;
    while (answers.length < Math.min(due, count)) answers.push(send(answers.length));
    await sleep(1);
  }
  await Promise.all(answers);
  await pool.destroy();
  return {
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    max: quantile(times, 1),
    late: quantile(lates, 0.99),
    failed,
  };
}
