import { runScenario, type Scenario } from '../client/scenario.ts';
import { startRig } from '../rig/rig.ts';
import { defineRun } from '../run.ts';

export const stall = defineRun({
  about: "the gateway's latency while Redis hangs, with `outage: accept`",
  options: {
    seconds: { type: 'string', default: '30' },
    /** Requests a second. */
    rate: { type: 'string', default: '500' },
  },
  async measure(options) {
    const [seconds, rate] = [Number(options.seconds), Number(options.rate)];
    const scenario: Scenario = {
      name: 'click, single',
      kind: 'click',
      batch: 1,
      connections: 64,
      requests: seconds * rate,
      rate,
    };
    const rig = await startRig();
    try {
      const url = `${rig.url}/events/click`;
      await runScenario(url, { ...scenario, requests: 4 * rate }, 'warm');
      const quiet = await runScenario(url, scenario, 'quiet');
      // Redis hangs two seconds into the run, so that requests in flight at that moment count too.
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
    return true;
  },
});
