import { readFile, writeFile } from 'node:fs/promises';
import { type Outcome, runScenario, type Scenario } from '../client/scenario.ts';
import { markdown, setting, short, writeSection } from '../report.ts';
import { type Gateway, startRig } from '../rig/rig.ts';
import { cpuMicros, timed } from '../rig/usage.ts';
import { defineRun } from '../run.ts';
import { subscriptionCost } from './subscriptions.ts';

const batches: Scenario = { name: 'scale', kind: 'click', batch: 100, connections: 16, requests: 600 };

/** A line of the table: microseconds of CPU per event of the process, of Redis and of Kafka. */
type Add = (curve: string, at: number, micros: number[]) => void;
/** Measures a curve. `scale`: a factor for the number of events. */
type Curve = (scale: number, add: Add) => Promise<void>;

const curves: Record<string, Curve> = { requests, sources, processes, subscriptions };

export const scale = defineRun({
  about:
    'how the cost of an event changes with the size of requests, and the number of sources, processes and subscriptions',
  options: {
    /** A factor for the number of events. */
    scale: { type: 'string', default: '1' },
    /** requests, sources, processes or subscriptions. */
    only: { type: 'string', multiple: true },
    /** A file whose table is renewed. */
    results: { type: 'string' },
  },
  async measure(options) {
    const lines = [['curve', 'at', 'CPU us/event', 'Redis us', 'Kafka us']];
    const add: Add = (curve, at, micros) => {
      const line = [curve, String(at), ...micros.map(short)];
      lines.push([...line, ...Array.from({ length: 5 - line.length }, () => '')]);
      console.error(line.join(', '));
    };
    for (const [name, curve] of Object.entries(curves)) {
      if (options.only?.includes(name) ?? true) await curve(Number(options.scale), add);
    }
    const about = Object.entries(setting()).map(([name, value]) => `${name} ${value}`);
    const text = `${about.join(', ')}.\n\n${markdown(lines)}`;
    if (options.results !== undefined) {
      await writeFile(options.results, writeSection(await readFile(options.results, 'utf8'), 'scale', text));
    }
    console.log(`\n${text}`);
    return true;
  },
});

async function requests(scale: number, add: Add): Promise<void> {
  const rig = await startRig();
  try {
    for (const batch of [1, 10, 100, 1_000]) {
      const connections = batch === 1 ? 64 : 16;
      const amount = Math.ceil(scale * Math.min(30_000, 60_000 / batch));
      const scenario = { ...batches, batch, connections, requests: Math.max(connections, amount) };
      const run = (name: string) => runScenario(urlOf(rig, 'click'), scenario, `${name}-${batch}`);
      await run('warm');
      const { micros } = await timed([rig.gateway.pid, rig.redis.pid, rig.kafka.pid], () => run('run'));
      add('events a request', batch, micros);
    }
  } finally {
    await rig.stop();
  }
}

async function sources(scale: number, add: Add): Promise<void> {
  const most = 64;
  const rig = await startRig({ sources: most });
  try {
    for (const count of [1, 8, most]) {
      const share = { ...batches, connections: Math.ceil(64 / count), requests: requestsOf(scale, count) };
      const one = (i: number, run: string, requests: number) => {
        const scenario = { ...share, requests, key: `load-click${i}` };
        return runScenario(urlOf(rig, `click${i}`), scenario, `${run}-${count}-${i}`);
      };
      // One after the other, since the first append to a topic makes a producer, and dozens of those at once take seconds.
      for (let i = 0; i < count; i++) await one(i, 'warm', 4 * share.connections);
      const run = () => together(Array.from({ length: count }, (_, i) => one(i, 'run', share.requests)));
      const { micros } = await timed([rig.gateway.pid, rig.redis.pid, rig.kafka.pid], run);
      add('sources, a topic each', count, micros);
    }
  } finally {
    await rig.stop();
  }
}

async function processes(scale: number, add: Add): Promise<void> {
  const rig = await startRig();
  const gateways: Gateway[] = [rig];
  try {
    for (const count of [1, 2, 3, 4]) {
      while (gateways.length < count) gateways.push(await rig.another());
      const share = { ...batches, requests: requestsOf(scale, count) };
      const run = (name: string) =>
        together(gateways.map((one, i) => runScenario(urlOf(one, 'click'), share, `${name}-${count}-${i}`)));
      await run('warm');
      const cpu = () => gateways.reduce((sum, { gateway }) => sum + cpuMicros(gateway.pid), 0);
      const before = cpu();
      const { outcome, micros } = await timed([rig.redis.pid, rig.kafka.pid], () => run('run'));
      add('processes on one Redis and Kafka', count, [(cpu() - before) / outcome.events, ...micros]);
    }
  } finally {
    await rig.stop();
  }
}

async function subscriptions(scale: number, add: Add): Promise<void> {
  for (const count of [1, 10, 100]) {
    const micros = await subscriptionCost(count, Math.ceil(20_000 * scale));
    add('subscriptions on a topic, one matches', count, [micros]);
  }
}

/** Requests of each of `count` clients that share the load, and no fewer than one has connections. */
function requestsOf(scale: number, count: number): number {
  return Math.max(64, Math.ceil((batches.requests * scale) / count));
}

function urlOf({ url }: Gateway, source: string): string {
  return `${url}/events/${source}`;
}

async function together(runs: Promise<Outcome>[]): Promise<Outcome> {
  const outcomes = await Promise.all(runs);
  return { ...outcomes[0]!, events: outcomes.reduce((sum, { events }) => sum + events, 0) };
}
