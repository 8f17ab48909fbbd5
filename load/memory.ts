import { startNode, stopNode } from './process.ts';
import { type Row, rowOf } from './report.ts';
import { startRig } from './rig.ts';
import { rssMiB, runScenario, type Scenario } from './scenario.ts';

const IDLE = 10_000;
const MEGABYTES = 200;
const full: Scenario[] = [
  { name: 'single click', kind: 'click', batch: 1, connections: 64, requests: 40_000 },
  { name: 'batch click', kind: 'click', batch: 100, connections: 16, requests: 2_000 },
];

export const memoryNames = ['memory'];

/** The most memory that a gateway takes with many idle connections beside full load. `client`: what appends. */
export async function memoryRow(node: string[], client: string): Promise<Row> {
  const rig = await startRig(node, '', 0, client);
  const megabytes = () => rssMiB(rig.gateway.pid) * 1.048576;
  const start = megabytes();
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, megabytes());
  }, 100);
  try {
    const idle = await startNode(['load/idle.ts', new URL(rig.url).port, String(IDLE)], /ready/);
    let said = '';
    idle.stdout!.on('data', (bytes: Buffer) => (said += bytes.toString()));
    const connected = megabytes();
    for (const scenario of full) {
      await runScenario(`${rig.url}/events/click?key=load-click`, scenario, `memory-${scenario.batch}`);
    }
    await stopNode(idle);
    if (!said.includes(`${IDLE} open`)) throw new Error(`idle connections were closed: ${said.trim()}`);
    return rowOf('memory', 'MB', [[most, null]], {
      target: MEGABYTES,
      more: { 'MB at start': start, 'MB with idle connections': connected },
    });
  } finally {
    clearInterval(watch);
    await rig.stop();
  }
}
