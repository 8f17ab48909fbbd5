// `npm run load:soak -- --minutes 10`: memory and lag of a gateway and a dispatcher over a long time at a constant rate, and whether memory grew.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort } from '../test/services/free-port.ts';
import { startKafka } from '../test/services/kafka.ts';
import { startRedis } from '../test/services/redis.ts';
import { schemas } from './events.ts';
import { openLoop } from './open-loop.ts';
import { startNode, stopNode } from './process.ts';
import { program } from './program.ts';
import { median } from './report.ts';
import { rssMiB } from './scenario.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    /** Events a second. */
    rate: { type: 'string', default: '300' },
  },
});
const [minutes, rate] = [Number(options.minutes), Number(options.rate)];
/** Of the memory of the first quarter after the warm-up: less is the garbage collector's. */
const GROWTH = 1.1;

interface Sample {
  rss: number;
  heap: number;
  lag: number;
}

const [kafka, redis] = await Promise.all([startKafka(), startRedis()]);
const folder = await mkdtemp(join(tmpdir(), 'postern-soak-'));
const [port, adminPort, functionPort] = [await freePort(), await freePort(), await freePort()];
await writeFile(join(folder, 'click.json'), JSON.stringify(schemas.click));
const config = join(folder, 'postern.yaml');
await writeFile(
  config,
  `gateway: { listen: 127.0.0.1:${port} }
admin: { listen: 127.0.0.1:${adminPort} }
log: { kafka: { brokers: ['${kafka.brokers}'], create: { partitions: 4 } } }
dedupe: { redis: { url: '${redis.url}' } }
schemas: ${folder}
sources:
  click: { protocol: events, topic: click, id: [/id], type: /type, time: /timestamp, key: /anonymousId, schema: click, keys: [load-click] }
subscriptions:
  soak: { topics: [click], order: key, function: { http: { url: 'http://127.0.0.1:${functionPort}/' } } }
`,
);
const total = Math.ceil(minutes * 60 * rate);
const target = await startNode(['load/function.ts', String(functionPort), '0', String(total)], /ready/);
let delivered = false;
target.stdout!.on('data', (bytes: Buffer) => {
  delivered ||= bytes.toString().includes('done');
});
const postern = await startNode([...(await program()), 'serve', '--config', config], /"msg":"ready"/);
try {
  await main();
} finally {
  await stopNode(postern);
  await stopNode(target);
  await Promise.all([kafka.stop(), redis.stop()]);
  await rm(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const samples: Sample[] = [];
  const every = Math.max(1_000, (minutes * 60_000) / 60);
  const watch = setInterval(() => {
    void sample().then((one) => {
      samples.push(one);
      const at = ((samples.length * every) / 60_000).toFixed(1);
      console.log(
        `${at} min: RSS ${one.rss.toFixed(0)} MiB, heap ${one.heap.toFixed(0)} MiB, lag ${one.lag}`,
      );
    }, console.error);
  }, every);
  const url = `http://127.0.0.1:${port}/events/click`;
  const seconds = minutes * 60;
  const { p99, max, failed } = await openLoop(url, { run: 'soak', rate, seconds });
  clearInterval(watch);
  const ends = performance.now() + 60_000;
  while (failed === 0 && !delivered && performance.now() < ends) await sleep(100);
  console.log(
    `${total - failed} of ${total} events accepted at ${rate}/s: p99 ${p99.toFixed(1)} ms, longest ${max.toFixed(0)} ms`,
  );
  if (failed > 0) process.exitCode = 1;
  else if (!delivered) {
    console.log('not all of them were delivered within a minute');
    process.exitCode = 1;
  }
  judge(samples);
}

/** The last quarter beside the second one: the first is the warm-up. */
function judge(samples: Sample[]): void {
  const quarter = Math.floor(samples.length / 4);
  if (quarter === 0) {
    console.log('too short to tell whether memory grew');
    return;
  }
  const mid = (list: Sample[]) => median(list.map(({ rss }) => rss));
  const [before, after] = [mid(samples.slice(quarter, 2 * quarter)), mid(samples.slice(-quarter))];
  const grew = after > before * GROWTH;
  console.log(
    `memory ${grew ? 'grew' : 'did not grow'}: ${before.toFixed(0)} MiB in the second quarter, ${after.toFixed(0)} MiB in the last`,
  );
  if (grew) process.exitCode = 1;
}

async function sample(): Promise<Sample> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const sum = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
      (all, [, value]) => all + Number(value),
      0,
    );
  return {
    rss: rssMiB(postern.pid),
    heap: sum('nodejs_heap_size_used_bytes') / 2 ** 20,
    lag: sum('postern_lag_events'),
  };
}
