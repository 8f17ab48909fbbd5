import { freePort } from '../../test/services/free-port.ts';
import { type Outcome, runScenario, type Scenario } from '../client/scenario.ts';
import type { Peer } from '../peer/peer.ts';
import { median, type Row, rowOf } from '../report.ts';
import { startNode, stopNode } from '../rig/process.ts';
import type { Rig } from '../rig/rig.ts';
import { rssMiB, timed } from '../rig/usage.ts';
import { redisFloor } from './redis-floor.ts';

const work = {
  'single click': { name: 'single click', kind: 'click', batch: 1, connections: 64, requests: 30_000 },
  'batch click': { name: 'batch click', kind: 'click', batch: 100, connections: 16, requests: 1_000 },
  'batch iot': { name: 'batch iot', kind: 'iot', batch: 100, connections: 16, requests: 1_500 },
} satisfies Record<string, Scenario>;

type Work = keyof typeof work;

/** Microseconds of CPU an event: user and system, all threads. */
interface Cost extends Outcome {
  gateway: number;
  floor: number;
  redis: number;
  /** Redis' CPU for a claim and its confirmation alone; null where it is not measured. */
  redisFloor: number | null;
  kafka: number;
  /** Null without a peer. */
  peer: number | null;
  rss: number;
}

/** Ratios to the floor and to the peer, for the driver that the gateway runs with and for the other one. */
const TARGETS: Record<Work, { kafkajs: number; other: number }> = {
  'single click': { kafkajs: 2, other: 1.6 },
  'batch click': { kafkajs: 4, other: 2.5 },
  'batch iot': { kafkajs: 4.5, other: 3 },
};
const PEER_TARGETS = {
  'single click': { kafkajs: 1 / 2.2, other: 1 / 3 },
  'batch click': { kafkajs: 1 / 4, other: 1 / 7 },
};
/** The target was set as 3.5 us on a machine where the floor takes 3.3 us. */
const REDIS_TARGET = 3.5 / 3.3;

export const ingestNames = [...Object.keys(work), 'peer single', 'peer batch', 'redis cpu'];

export interface IngestOptions {
  rig: Rig;
  rounds: number;
  /** A factor for the number of requests. */
  scale: number;
  peer: Peer | null;
  driver: 'kafkajs' | 'other';
  wants(name: string): boolean;
}

/** Posts events to the gateway, the floor and the peer in turns. Throws when an accepted event is not in Kafka. */
export async function ingestRows(options: IngestOptions): Promise<Row[]> {
  const { rounds, peer, driver, wants } = options;
  const needed = (Object.keys(work) as Work[]).filter(
    (name) =>
      wants(name) ||
      (name === 'single click' && peer !== null && wants('peer single')) ||
      (name === 'batch click' && (wants('redis cpu') || (peer !== null && wants('peer batch')))),
  );
  if (needed.length === 0) return [];
  const port = await freePort();
  const floor = await startNode(['load/ingest/floor.ts', String(port)], /ready/);
  const costs = new Map<Work, Cost[]>();
  try {
    const measure = (name: Work, run: string, share: number) =>
      costOf({ ...work[name], requests: Math.ceil(work[name].requests * share) }, run, options, {
        url: `http://127.0.0.1:${port}`,
        pid: floor.pid,
      });
    for (const name of needed) await measure(name, `warm-${name}`, 1);
    for (let round = 0; round < rounds; round++) {
      for (const name of needed) {
        const cost = await measure(name, `${round}-${name}`, options.scale);
        costs.set(name, [...(costs.get(name) ?? []), cost]);
      }
    }
  } finally {
    await stopNode(floor);
  }
  const rows = needed.filter(wants).map((name) => floorRow(name, costs.get(name)!, TARGETS[name][driver]));
  for (const [name, of] of [
    ['peer single', 'single click'],
    ['peer batch', 'batch click'],
  ] as const) {
    const list = costs.get(of);
    if (peer === null || list === undefined || !wants(name)) continue;
    const pairs = list.map((cost) => [cost.gateway, cost.peer] as const);
    rows.push(rowOf(name, 'us/event', pairs, { against: 'peer', target: PEER_TARGETS[of][driver] }));
  }
  const batches = costs.get('batch click');
  if (wants('redis cpu') && batches !== undefined) {
    const pairs = batches.map(({ redis, redisFloor }) => [redis, redisFloor] as const);
    rows.push(rowOf('redis cpu', 'us/event', pairs, { against: 'two SETs', target: REDIS_TARGET }));
  }
  return rows;
}

function floorRow(name: Work, costs: Cost[], target: number): Row {
  const mid = (pick: (cost: Cost) => number) => median(costs.map(pick));
  return rowOf(
    name,
    'us/event',
    costs.map(({ gateway, floor }) => [gateway, floor]),
    {
      against: 'floor',
      target,
      more: {
        'events/s': mid((cost) => cost.events / cost.seconds),
        'p50 ms': mid((cost) => cost.p50),
        'p99 ms': mid((cost) => cost.p99),
        'Kafka us': mid((cost) => cost.kafka),
        'Redis us': mid((cost) => cost.redis),
        'RSS MiB': mid((cost) => cost.rss),
      },
    },
  );
}

async function costOf(
  scenario: Scenario,
  run: string,
  { rig, peer }: IngestOptions,
  floor: { url: string; pid: number },
): Promise<Cost> {
  const { kind, batch } = scenario;
  const path = `/events/${kind}?key=load-${kind}`;
  const bare = await timed([floor.pid], () => runScenario(`${floor.url}${path}`, scenario, run));
  let beside: number | null = null;
  if (peer !== null && kind === 'click') {
    beside = (await timed([peer.pid], () => runScenario(`${peer.url}${path}`, scenario, run))).micros[0]!;
  }
  const accepted = `{"accepted":${batch},"duplicates":0,"rejected":0,"retry":0,"events":[]}`;
  const before = await rig.storedIn(kind);
  const { outcome, micros } = await timed([rig.gateway.pid, rig.redis.pid, rig.kafka.pid], () =>
    runScenario(`${rig.url}${path}`, scenario, run, accepted),
  );
  const stored = (await rig.storedIn(kind)) - before;
  if (stored !== outcome.events) {
    throw new Error(`${scenario.name}: ${outcome.events} accepted, but ${stored} in Kafka`);
  }
  return {
    ...outcome,
    gateway: micros[0]!,
    redis: micros[1]!,
    redisFloor: scenario.name === 'batch click' ? await redisFloor(rig.redis) : null,
    kafka: micros[2]!,
    floor: bare.micros[0]!,
    peer: beside,
    rss: rssMiB(rig.gateway.pid),
  };
}
