import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafkajs from 'kafkajs';
import { freePort } from '../test/services/free-port.ts';
import { type Kafka, startKafka } from '../test/services/kafka.ts';
import { eventText } from './events.ts';
import { startNode, stopNode } from './process.ts';
import { program } from './program.ts';
import { type Row, rowOf } from './report.ts';
import { cpuMicros, rssMiB } from './scenario.ts';

/** Events a call, how many are delivered before and while it is measured, and the ratio to the floor. */
const work = {
  'dispatch single': { per: 1, warm: 30_000, events: 70_000, target: 1.4 },
  'dispatch batch': { per: 100, warm: 60_000, events: 240_000, target: 1.6 },
};
const TOPIC = 'dispatch';
const APPEND = 2_000;

export const dispatchNames = Object.keys(work);

export interface DispatchOptions {
  rounds: number;
  /** Of the usual number of events. */
  scale: number;
  /** Arguments for the dispatcher's Node. */
  node: string[];
  wants(name: string): boolean;
}

/** Events that are in Kafka already, delivered to a function by the dispatcher and by its floor in turns. */
export async function dispatchRows({ rounds, scale, node, wants }: DispatchOptions): Promise<Row[]> {
  const needed = Object.entries(work).filter(([name]) => wants(name));
  if (needed.length === 0) return [];
  const kafka = await startKafka();
  const folder = await mkdtemp(join(tmpdir(), 'postern-dispatch-'));
  const found = new Map<string, { floor: number; dispatcher: number; rss: number }[]>();
  try {
    const most = Math.max(...needed.map(([, { warm, events }]) => warm + Math.ceil(events * scale)));
    await appendEvents(kafka.brokers, TOPIC, most);
    for (let round = 0; round < rounds; round++) {
      for (const [name, { per, warm, events }] of needed) {
        const amount = { warm, events: Math.ceil(events * scale) };
        const group = `${name.replace(' ', '-')}-${round}`;
        const floor = await delivered(amount, (url) =>
          startNode(['load/dispatch-floor.ts', kafka.brokers, `floor-${group}`, url, String(per)], /ready/),
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

/** CPU microseconds an event of the process that delivers, once it is warm. */
async function delivered(
  { warm, events }: { warm: number; events: number },
  start: (url: string) => ReturnType<typeof startNode>,
): Promise<{ micros: number; rss: number }> {
  const port = await freePort();
  const target = await startNode(
    ['load/function.ts', String(port), String(warm), String(warm + events)],
    /ready/,
  );
  const told: Record<string, PromiseWithResolvers<number>> = {
    warm: Promise.withResolvers(),
    done: Promise.withResolvers(),
  };
  let pid = 0;
  target.stdout!.on('data', (bytes: Buffer) => {
    for (const word of bytes.toString().trim().split('\n')) told[word]?.resolve(cpuMicros(pid));
  });
  const child = await start(`http://127.0.0.1:${port}/`);
  pid = child.pid;
  const gone = once(child, 'exit').then(([code]) => {
    throw new Error(`what delivers ended with ${code}`);
  });
  gone.catch(() => {});
  try {
    const before = await Promise.race([told.warm!.promise, gone]);
    const after = await Promise.race([told.done!.promise, gone]);
    return { micros: (after - before) / events, rss: rssMiB(pid) };
  } finally {
    await stopNode(child);
    await stopNode(target);
  }
}

/** Stores clickstream events as the gateway does; `type` gives the n-th one's. */
export async function appendEvents(
  brokers: string,
  topic: string,
  count: number,
  type: (n: number) => string = () => 'page.view',
): Promise<void> {
  const client = new kafkajs.Kafka({ clientId: 'load', brokers: [brokers], logLevel: 0 });
  const [admin, producer] = [client.admin(), client.producer()];
  await Promise.all([admin.connect(), producer.connect()]);
  await admin.createTopics({ topics: [{ topic, numPartitions: 4 }], waitForLeaders: false });
  for (let from = 0; from < count; from += APPEND) {
    const messages = Array.from({ length: Math.min(APPEND, count - from) }, (_, i) => {
      const n = from + i;
      const headers = {
        ce_specversion: '1.0',
        ce_id: `d-${n}`,
        ce_source: '/click',
        ce_type: type(n),
        ce_time: '2026-11-24T12:00:00.000Z',
        'content-type': 'application/json',
      };
      return { key: `anon-${n % 5_000}`, value: eventText('click', 'd', n), headers };
    });
    await producer.send({ topic, messages });
  }
  await Promise.all([admin.disconnect(), producer.disconnect()]);
}
