// `npm run load`: CPU per event of gateway, Redis and Kafka, beside a bare node:http server in the same run.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import kafkajs from 'kafkajs';
import { freePort } from '../test/services/free-port.ts';
import { startNode, stopNode } from './process.ts';
import { startRig } from './rig.ts';
import { cpuMicros, type Outcome, rssMiB, runScenario, type Scenario } from './scenario.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    scale: { type: 'string', default: '1' },
    profile: { type: 'string' },
  },
});
const rounds = Number(options.rounds);
const scale = Number(options.scale);
/** `--profile DIR` writes a CPU profile of the gateway there. */
const profiling = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];

const scenarios: Scenario[] = [
  { name: 'click, single', kind: 'click', batch: 1, connections: 64, requests: 40_000 },
  { name: 'click, batch of 100', kind: 'click', batch: 100, connections: 16, requests: 1_000 },
  { name: 'iot, single', kind: 'iot', batch: 1, connections: 64, requests: 40_000 },
  { name: 'iot, batch of 100', kind: 'iot', batch: 100, connections: 16, requests: 1_500 },
];
const steady: Scenario = {
  name: 'click, single, 500/s',
  kind: 'click',
  batch: 1,
  connections: 16,
  requests: 3_000,
  rate: 500,
};

interface Row extends Outcome {
  gateway: number;
  redis: number;
  kafka: number;
  rss: number;
  floor: number;
}

const rig = await startRig(profiling);
const { gateway, kafka, redis } = rig;
const floorPort = await freePort();
const floor = await startNode(['load/floor.ts', String(floorPort)], /ready/);
const admin = new kafkajs.Kafka({ clientId: 'load', brokers: [kafka.brokers], logLevel: 0 }).admin();
await admin.connect();

try {
  await main();
} finally {
  await admin.disconnect();
  await stopNode(floor);
  await rig.stop();
}

async function main(): Promise<void> {
  const rows = new Map<string, Row[]>();
  let run = 0;
  for (const scenario of scenarios) await measure(scenario, `w${run++}`);
  for (let round = 0; round < rounds; round++) {
    for (const scenario of scenarios) {
      const row = await measure({ ...scenario, requests: Math.ceil(scenario.requests * scale) }, `r${run++}`);
      rows.set(scenario.name, [...(rows.get(scenario.name) ?? []), row]);
    }
  }
  const latency = await measure(steady, `r${run++}`);
  print(rows, latency);
}

/** One scenario on the floor and on the gateway. Throws when an accepted event is not in Kafka. */
async function measure(scenario: Scenario, run: string): Promise<Row> {
  const { pid: floorPid } = floor;
  const floorBefore = cpuMicros(floorPid);
  const bare = await runScenario(`http://127.0.0.1:${floorPort}/`, scenario, run);
  const floorCost = (cpuMicros(floorPid) - floorBefore) / bare.events;

  const pids = { gateway: gateway.pid, redis: redis.pid, kafka: kafka.pid };
  const before = { ...cpuOf(pids), stored: await storedIn(scenario.kind) };
  const outcome = await runScenario(
    `${rig.url}/events/${scenario.kind}?key=load-${scenario.kind}`,
    scenario,
    run,
    `{"accepted":${scenario.batch},"duplicates":0,"rejected":0,"retry":0,"events":[]}`,
  );
  const after = cpuOf(pids);
  const stored = (await storedIn(scenario.kind)) - before.stored;
  if (stored !== outcome.events)
    throw new Error(`${scenario.name}: ${outcome.events} accepted, but ${stored} in Kafka`);
  const per = (name: keyof typeof pids) => (after[name] - before[name]) / outcome.events;
  return {
    ...outcome,
    gateway: per('gateway'),
    redis: per('redis'),
    kafka: per('kafka'),
    rss: rssMiB(gateway.pid),
    floor: floorCost,
  };
}

function cpuOf(pids: { gateway: number; redis: number; kafka: number }) {
  return { gateway: cpuMicros(pids.gateway), redis: cpuMicros(pids.redis), kafka: cpuMicros(pids.kafka) };
}

async function storedIn(topic: string): Promise<number> {
  const offsets = await admin.fetchTopicOffsets(topic);
  return offsets.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
}

function print(rows: Map<string, Row[]>, latency: Row): void {
  console.log(
    `\nNode ${process.version}, ${cpus().length} x ${cpus()[0]?.model}; ${rounds} interleaved rounds, medians`,
  );
  console.log(
    'CPU microseconds per event (user and system, all threads); floor: bare node:http that reads the body and answers\n',
  );
  const head = [
    'scenario',
    'floor',
    'gateway',
    'ratio',
    'redis',
    'kafka',
    'events/s',
    'p50 ms',
    'p99 ms',
    'RSS MiB',
  ];
  const table = [...rows].map(([name, list]) => {
    const mid = (pick: (row: Row) => number) => median(list.map(pick));
    return [
      name,
      mid((r) => r.floor).toFixed(1),
      mid((r) => r.gateway).toFixed(1),
      mid((r) => r.gateway / r.floor).toFixed(2),
      mid((r) => r.redis).toFixed(1),
      mid((r) => r.kafka).toFixed(1),
      mid((r) => r.events / r.seconds).toFixed(0),
      mid((r) => r.p50).toFixed(1),
      mid((r) => r.p99).toFixed(1),
      mid((r) => r.rss).toFixed(0),
    ];
  });
  printTable([head, ...table]);
  for (const kind of ['click', 'iot']) {
    const cost = (name: string) => median(rows.get(name)!.map((row) => row.gateway));
    const ratio = cost(`${kind}, batch of 100`) / cost(`${kind}, single`);
    console.log(`${kind}: an event of a batch costs ${ratio.toFixed(2)} of a single POST`);
  }
  console.log(
    `latency at a constant ${steady.rate} requests/s: p50 ${latency.p50} ms, p99 ${latency.p99} ms (corrected for coordinated omission)`,
  );
}

function printTable(lines: string[][]): void {
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  for (const line of lines)
    console.log(
      line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
    );
  console.log('');
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
