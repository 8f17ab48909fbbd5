// `node load/stall.ts`: what a Redis that hangs does to the gateway's latency, with `outage: accept`.
import { parseArgs } from 'node:util';
import { startRig } from './rig.ts';
import { runScenario, type Scenario } from './scenario.ts';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    /** Requests a second. */
    rate: { type: 'string', default: '500' },
  },
});
const [seconds, rate] = [Number(options.seconds), Number(options.rate)];
const scenario: Scenario = {
  name: 'click, single',
  kind: 'click',
  batch: 1,
  connections: 64,
  requests: seconds * rate,
  rate,
};
const rig = await startRig([]);
try {
  const url = `${rig.url}/events/click`;
  await runScenario(url, { ...scenario, requests: 4 * rate }, 'warm');
  const quiet = await runScenario(url, scenario, 'quiet');
  // Some seconds into the run, so that what waits at that moment counts, too.
  const stop = setTimeout(() => rig.redis.kill('SIGSTOP'), 2_000);
  const stalled = await runScenario(url, { ...scenario, requests: (seconds + 2) * rate }, 'stalled');
  clearTimeout(stop);
  rig.redis.kill('SIGCONT');
  const after = await runScenario(url, scenario, 'after');
  for (const [name, { p50, p99, max }] of Object.entries({ quiet, stalled, after })) {
    console.log(`${name}: p50 ${p50} ms, p99 ${p99} ms, longest ${max} ms at ${rate} requests/s`);
  }
} finally {
  rig.redis.kill('SIGCONT');
  await rig.stop();
}
