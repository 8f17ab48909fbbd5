// `npm run load:hostile`: what one client's bad bodies do to another client's latency and to the gateway's memory.
import { parseArgs } from 'node:util';
import { startNode, stopNode } from './process.ts';
import { startRig } from './rig.ts';
import { cpuMicros, type Outcome, rssMiB, runScenario, type Scenario } from './scenario.ts';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    /** Megabytes a second. */
    attack: { type: 'string', default: '10' },
    profile: { type: 'string' },
  },
});
const seconds = Number(options.seconds);
const rate = 200;
const good: Scenario = {
  name: 'good client',
  kind: 'click',
  batch: 1,
  connections: 16,
  requests: seconds * rate,
  rate,
};
const profiling = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
const rig = await startRig(profiling);
let most = 0;
const watch = setInterval(() => {
  most = Math.max(most, rssMiB(rig.gateway.pid));
}, 50);

try {
  const url = `${rig.url}/events/click?key=load-click`;
  await runScenario(url, { ...good, requests: 4 * rate }, 'warm');
  const quiet = await measured(() => runScenario(url, good, 'quiet'));
  const attack = await startNode(
    ['load/attack.ts', url, String(Number(options.attack) * 1024 * 1024)],
    /ready/,
  );
  const loud = await measured(() => runScenario(url, good, 'loud'));
  let said = '';
  attack.stdout!.on('data', (bytes: Buffer) => (said += bytes.toString()));
  await stopNode(attack);
  print('quiet', quiet);
  print(`with ${options.attack} MB/s of bad bodies`, loud);
  console.log(`the attacker's answers: ${said.trim()}`);
  console.log(`p99 ratio ${(loud.p99 / quiet.p99).toFixed(2)}, most memory ${most.toFixed(0)} MiB`);
} finally {
  clearInterval(watch);
  await rig.stop();
}

async function measured(run: () => Promise<Outcome>): Promise<Outcome & { cpu: number }> {
  const before = cpuMicros(rig.gateway.pid);
  const outcome = await run();
  return { ...outcome, cpu: (cpuMicros(rig.gateway.pid) - before) / 1e6 / outcome.seconds };
}

function print(name: string, { p50, p99, cpu }: Outcome & { cpu: number }): void {
  console.log(`${name}: p50 ${p50} ms, p99 ${p99} ms at ${rate} requests/s, ${cpu.toFixed(2)} cores used`);
}
