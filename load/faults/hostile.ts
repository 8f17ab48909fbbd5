import { type Outcome, runScenario, type Scenario } from '../client/scenario.ts';
import { startNode, stopNode } from '../rig/process.ts';
import { type Rig, startRig } from '../rig/rig.ts';
import { cpuMicros, rssMiB } from '../rig/usage.ts';
import { defineRun } from '../run.ts';

/** Requests a second of the good client. */
const RATE = 200;

export const hostile = defineRun({
  about: "one client's bad bodies: what they do to another client's latency, and to the gateway's memory",
  options: {
    seconds: { type: 'string', default: '20' },
    /** Megabytes a second of bad bodies. */
    attack: { type: 'string', default: '10' },
    /** A folder for CPU profiles of the gateway. */
    profile: { type: 'string' },
  },
  async measure({ seconds, attack, profile }) {
    const node = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
    const rig = await startRig({ node });
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, rssMiB(rig.gateway.pid));
    }, 50);
    const good: Scenario = {
      name: 'good client',
      kind: 'click',
      batch: 1,
      connections: 16,
      requests: Number(seconds) * RATE,
      rate: RATE,
    };
    try {
      const url = `${rig.url}/events/click?key=load-click`;
      await runScenario(url, { ...good, requests: 4 * RATE }, 'warm');
      const quiet = await measured(rig, () => runScenario(url, good, 'quiet'));
      const bytes = String(Number(attack) * 1024 * 1024);
      const attacker = await startNode(['load/faults/attacker.ts', url, bytes], /ready/);
      let answers = '';
      attacker.stdout!.on('data', (chunk: Buffer) => (answers += chunk.toString()));
      const loud = await measured(rig, () => runScenario(url, good, 'loud')).finally(() =>
        stopNode(attacker),
      );
      print('quiet', quiet);
      print(`with ${attack} MB/s of bad bodies`, loud);
      console.log(`the attacker's answers: ${answers.trim()}`);
      console.log(`p99 ratio ${(loud.p99 / quiet.p99).toFixed(2)}, most memory ${most.toFixed(0)} MiB`);
    } finally {
      clearInterval(watch);
      await rig.stop();
    }
    return true;
  },
});

/** An outcome, and the cores that the gateway used meanwhile. */
type Measured = Outcome & { cores: number };

async function measured({ gateway }: Rig, run: () => Promise<Outcome>): Promise<Measured> {
  const before = cpuMicros(gateway.pid);
  const outcome = await run();
  return { ...outcome, cores: (cpuMicros(gateway.pid) - before) / 1e6 / outcome.seconds };
}

function print(name: string, { p50, p99, cores }: Measured): void {
  console.log(`${name}: p50 ${p50} ms, p99 ${p99} ms at ${RATE} requests/s, ${cores.toFixed(2)} cores used`);
}
