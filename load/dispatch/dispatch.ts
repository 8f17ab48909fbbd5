import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/services/free-port.ts';
import { type Kafka, startKafka } from '../../test/services/kafka.ts';
import { appendClicks } from '../client/topic.ts';
import { type Row, rowOf } from '../report.ts';
import { startNode, stopNode } from '../rig/process.ts';
import { program } from '../rig/program.ts';
import { cpuMicros, rssMiB } from '../rig/usage.ts';

/** `per`: events per call. `warm`: events delivered before the measurement, `events`: during it. `target`: ratio to the floor. */
const work = {
  'dispatch single': { per: 1, warm: 30_000, events: 70_000, target: 1.4 },
  'dispatch batch': { per: 100, warm: 60_000, events: 240_000, target: 1.6 },
};
const TOPIC = 'dispatch';

export const dispatchNames = Object.keys(work);

export interface DispatchOptions {
  rounds: number;
  /** A factor for the number of events. */
  scale: number;
  /** Arguments for the dispatcher's Node. */
  node: string[];
  wants(name: string): boolean;
}

/** Delivers events from Kafka to a function, by the dispatcher and by its floor in turns. */
export async function dispatchRows({ rounds, scale, node, wants }: DispatchOptions): Promise<Row[]> {
  const needed = Object.entries(work).filter(([name]) => wants(name));
  if (needed.length === 0) return [];
  const kafka = await startKafka();
  const folder = await mkdtemp(join(tmpdir(), 'postern-dispatch-'));
  const found = new Map<string, { floor: number; dispatcher: number; rss: number }[]>();
  try {
    const most = Math.max(...needed.map(([, { warm, events }]) => warm + Math.ceil(events * scale)));
    await appendClicks(kafka.brokers, TOPIC, most);
    for (let round = 0; round < rounds; round++) {
      for (const [name, { per, warm, events }] of needed) {
        const amount = { warm, events: Math.ceil(events * scale) };
        const group = `${name.replace(' ', '-')}-${round}`;
        const floor = await delivered(amount, (url) =>
          startNode(['load/dispatch/floor.ts', kafka.brokers, `floor-${group}`, url, String(per)], /ready/),
        );
        const mine = await delivered(amount, async (url) => {
          const config = join(folder, `${group}.yaml`);
          await writeFile(config, await configOf(kafka, group, url, per));
          const args = [...node, ...(await program()), 'serve', '--role', 'dispatcher', '--config', config];
          return startNode(args, /"msg":"ready"/);
        });
        const one = { floor: floor.micros, dispatcher: mine.micros, rss: mine.rss };
        found.set(name, [...(found.get(name) ?? []), one]);
      }
    }
  } finally {
    await kafka.stop();
    await rm(folder, { recursive: true, force: true });
  }
  return needed.map(([name, { target }]) => {
    const list = found.get(name)!;
    const pairs = list.map(({ dispatcher, floor }) => [dispatcher, floor] as const);
    return rowOf(name, 'us/event', pairs, {
      against: 'floor',
      target,
      more: { 'RSS MiB': Math.max(...list.map(({ rss }) => rss)) },
    });
  });
}

async function configOf({ brokers }: Kafka, group: string, url: string, per: number): Promise<string> {
  return `admin: { listen: 127.0.0.1:${await freePort()} }
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { embedded: {} }
subscriptions:
  load:
    group: ${group}
    topics: [${TOPIC}]
    function: { http: { url: '${url}', mode: ${per === 1 ? 'binary' : 'batch'} } }
    order: none
    concurrency: 64
${per === 1 ? '' : `    batch: { events: ${per}, wait: 200ms }\n`}`;
}

/** Starts a process that delivers, and measures it once it is warm. `micros`: CPU per event; `rss`: MiB at the end. */
async function delivered(
  { warm, events }: { warm: number; events: number },
  start: (url: string) => ReturnType<typeof startNode>,
): Promise<{ micros: number; rss: number }> {
  const port = await freePort();
  const target = await startNode(
    ['load/dispatch/function.ts', String(port), String(warm), String(warm + events)],
    /ready/,
  );
  /** The CPU that was used when the function said the word. */
  const cpuAt: Record<string, PromiseWithResolvers<number>> = {
    warm: Promise.withResolvers(),
    done: Promise.withResolvers(),
  };
  let pid = 0;
  target.stdout!.on('data', (bytes: Buffer) => {
    for (const word of bytes.toString().trim().split('\n')) cpuAt[word]?.resolve(cpuMicros(pid));
  });
  const child = await start(`http://127.0.0.1:${port}/`);
  pid = child.pid;
  const gone = once(child, 'exit').then(([code]) => {
    throw new Error(`the process that delivers ended with ${code}`);
  });
  gone.catch(() => {});
  try {
    const before = await Promise.race([cpuAt.warm!.promise, gone]);
    const after = await Promise.race([cpuAt.done!.promise, gone]);
    return { micros: (after - before) / events, rss: rssMiB(pid) };
  } finally {
    await stopNode(child);
    await stopNode(target);
  }
}
