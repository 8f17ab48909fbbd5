// `npm run load:streams`: what a stream costs per event and per open window; `-- --exact N --kills 20`: whether N events,
// with dispatchers killed all the time, make exactly the windows that they should. `--window '{ session: 40s }'` says which
// windows, `--store sqlite` keeps their state in SQLite, with one dispatcher instead of three.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { parse } from 'yaml';
import { parseDuration } from '../src/core/units.ts';
import { readTopic } from '../test/e2e/kafka-reader.ts';
import {
  expectedLines,
  type Kind,
  makeEvents,
  produce,
  produceEnd,
  seenOf,
  told,
} from '../test/e2e/stream-events.ts';
import { freePort } from '../test/services/free-port.ts';
import { startKafka } from '../test/services/kafka.ts';
import { startRedis } from '../test/services/redis.ts';
import { startNode, stopNode } from './process.ts';

const { values: options } = parseArgs({
  options: {
    events: { type: 'string', default: '400000' },
    keys: { type: 'string', default: '10000' },
    exact: { type: 'string' },
    kills: { type: 'string', default: '20' },
    window: { type: 'string' },
    store: { type: 'string', default: 'redis' },
  },
});
const PARTITIONS = 6;
const KEYS = Number(options.keys);

const folder = await mkdtemp(join(tmpdir(), 'postern-load-'));
const [kafka, redis] = await Promise.all([startKafka(), startRedis()]);
const { brokers } = kafka;
const window = options.window ?? (options.exact === undefined ? '{ tumbling: 1h }' : '{ tumbling: 1m }');
const dedupe =
  options.store === 'sqlite'
    ? `embedded: { path: '${join(folder, 'state')}' }`
    : `redis: { url: '${redis.url}' }`;

interface Dispatcher {
  child: ChildProcess & { pid: number };
  admin: string;
}

async function start(): Promise<Dispatcher> {
  const port = await freePort();
  const config = join(folder, `postern-${port}.yaml`);
  await writeFile(
    config,
    `admin: { listen: 127.0.0.1:${port} }
log: { kafka: { brokers: ['${brokers}'], create: { partitions: ${PARTITIONS} } } }
dedupe: { ${dedupe} }
streams:
  spend:
    topics: [orders]
    window: ${window}
    lateness: 30s
    aggregate: { n: count(), spent: sum(event.data.total) }
    emit: { topic: windows, type: spend }
`,
  );
  const child = await startNode(
    ['src/main.ts', 'serve', '--role', 'dispatcher', '--config', config],
    /"msg":"ready"/,
  );
  return { child, admin: `http://127.0.0.1:${port}` };
}

/** The value of a metric, over all its labels; 0 while it is absent. */
async function metric({ admin }: Dispatcher, name: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const lines = text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'));
  return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
}

async function cost(): Promise<void> {
  const count = Number(options.events);
  const events = makeEvents(count, KEYS);
  const dispatcher = await start();
  const half = Math.floor(count / 2);
  await produce(brokers, 'orders', events.slice(0, half));
  await counted(dispatcher, half);
  // The second half arrives at once: the dispatcher works through a backlog with warm code.
  dispatcher.child.kill('SIGSTOP');
  await produce(brokers, 'orders', events.slice(half), half);
  dispatcher.child.kill('SIGCONT');
  const before = await metric(dispatcher, 'process_cpu_seconds_total');
  const done = await metric(dispatcher, 'postern_stream_events_total');
  const started = performance.now();
  await counted(dispatcher, count);
  const seconds = (performance.now() - started) / 1000;
  const cpu = (await metric(dispatcher, 'process_cpu_seconds_total')) - before;
  const open = await metric(dispatcher, 'postern_stream_open_windows');
  const client = new Redis(redis.url);
  let bytes = 0;
  for (const key of await client.keys('*stream:*'))
    bytes += Number(await client.call('MEMORY', 'USAGE', key, 'SAMPLES', '0'));
  client.disconnect();
  console.table({
    [window]: {
      'events/s': Math.round((count - done) / seconds),
      'CPU µs per event': Number(((cpu * 1e6) / (count - done)).toFixed(2)),
      'windows told of': await metric(dispatcher, 'postern_stream_emitted_total'),
      'open windows': open,
      'bytes of Redis per open window': Number((bytes / open).toFixed(1)),
    },
  });
  await stopNode(dispatcher.child);
}

async function counted(dispatcher: Dispatcher, count: number): Promise<void> {
  while ((await metric(dispatcher, 'postern_stream_events_total')) < count) await sleep(100);
}

async function exact(): Promise<boolean> {
  const [count, kills] = [Number(options.exact), Number(options.kills)];
  const dispatchers = await Promise.all(Array.from({ length: options.store === 'sqlite' ? 1 : 3 }, start));
  const events = makeEvents(count, KEYS);
  const producing = (async () => {
    const slice = Math.ceil(count / (kills + 1));
    for (let at = 0; at < count; at += slice) {
      await produce(brokers, 'orders', events.slice(at, at + slice), at);
      await sleep(5_000);
    }
  })();
  for (let kill = 0; kill < kills; kill++) {
    await sleep(4_000 + Math.random() * 4_000);
    const [victim] = dispatchers.splice(Math.floor(Math.random() * dispatchers.length), 1) as [Dispatcher];
    victim.child.kill('SIGKILL');
    await once(victim.child, 'exit');
    dispatchers.push(await start());
    console.log(`kill ${kill + 1} of ${kills}`);
  }
  await producing;
  await produceEnd(brokers, 'orders', PARTITIONS);
  const expected = expectedLines(seenOf(await readTopic(brokers, 'orders'), 'key'), kindOf(window));
  const found = await told(brokers, 'windows', expected.length, 300_000);
  const [known, made] = [new Set(expected), new Set(found)];
  const missing = expected.filter((line) => !made.has(line)).length;
  const extra = found.filter((line) => !known.has(line)).length;
  const late = (await readTopic(brokers, 'spend.late')).length;
  console.table({
    [`${window} on ${options.store}, ${count} events, ${kills} kills`]: {
      windows: expected.length,
      missing,
      extra,
      late,
    },
  });
  for (const { child } of dispatchers) await stopNode(child);
  return missing + extra + late === 0;
}

/** The durations of a window as the config has it, in milliseconds. */
function kindOf(text: string): Kind {
  const spans = Object.entries(parse(text) as Record<string, string>);
  return Object.fromEntries(spans.map(([name, span]) => [name, parseDuration(span)])) as Kind;
}

try {
  if (options.exact === undefined) await cost();
  else if (!(await exact())) process.exitCode = 1;
} finally {
  await Promise.all([kafka.stop(), redis.stop()]);
  await rm(folder, { recursive: true, force: true });
}
