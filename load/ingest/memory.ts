import { freePort } from '../../test/services/free-port.ts';
import { runScenario, type Scenario } from '../client/scenario.ts';
import { type Row, rowOf } from '../report.ts';
import { startNode, stopNode } from '../rig/process.ts';
import { startRig } from '../rig/rig.ts';
import { rssMiB } from '../rig/usage.ts';

/** Connections that send nothing. */
const IDLE = 10_000;
const TARGET_MB = 200;
const full: Scenario[] = [
  { name: 'single click', kind: 'click', batch: 1, connections: 64, requests: 40_000 },
  { name: 'batch click', kind: 'click', batch: 100, connections: 16, requests: 2_000 },
];

export const memoryNames = ['memory'];

/** The most memory that a gateway takes under full load beside many idle connections, and the floor's. `client`: see `log.kafka.client`. */
export async function memoryRow(node: string[], client: string): Promise<Row> {
  const port = await freePort();
  const floor = await startNode(['load/ingest/floor.ts', String(port)], /ready/);
  const bare = await most(floor.pid, `http://127.0.0.1:${port}`).finally(() => stopNode(floor));
  const rig = await startRig({ node, client });
  const { start, connected, peak } = await most(rig.gateway.pid, rig.url).finally(() => rig.stop());
  return rowOf('memory', 'MB', [[peak, null]], {
    target: TARGET_MB,
    more: {
      'MB at start': start,
      'MB with idle connections': connected,
      'floor MB with them': bare.connected,
      'floor MB': bare.peak,
    },
  });
}

/** Memory of a server, in MB. */
async function most(pid: number, url: string): Promise<{ start: number; connected: number; peak: number }> {
  const megabytes = () => rssMiB(pid) * 1.048576;
  const start = megabytes();
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, megabytes());
  }, 100);
  try {
    const idle = await startNode(['load/ingest/idle.ts', new URL(url).port, String(IDLE)], /ready/);
    let said = '';
    idle.stdout!.on('data', (bytes: Buffer) => (said += bytes.toString()));
    const connected = megabytes();
    for (const scenario of full) {
      await runScenario(`${url}/events/click?key=load-click`, scenario, `memory-${scenario.batch}`);
    }
    await stopNode(idle);
    if (!said.includes(`${IDLE} open`)) throw new Error(`idle connections were closed: ${said.trim()}`);
    return { start, connected, peak };
  } finally {
    clearInterval(watch);
  }
}
