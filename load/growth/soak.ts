import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/services/free-port.ts';
import { startKafka } from '../../test/services/kafka.ts';
import { startRedis } from '../../test/services/redis.ts';
import { until } from '../../test/services/until.ts';
import { schemas } from '../client/events.ts';
import { openLoop } from '../client/open-loop.ts';
import { median } from '../report.ts';
import { type NodeProcess, startNode, stopNode } from '../rig/process.ts';
import { program } from '../rig/program.ts';
import { rssMiB } from '../rig/usage.ts';
import { defineRun } from '../run.ts';

/** A factor that memory may grow by after the warm-up: the garbage collector alone makes it vary so much. */
const GROWTH = 1.1;

interface Sample {
  /** MiB. */
  rss: number;
  heap: number;
  /** Events. */
  lag: number;
}

export const soak = defineRun({
  about: 'a gateway and a dispatcher at a constant rate for a long time: whether memory grows, and the lag',
  options: {
    minutes: { type: 'string', default: '10' },
    /** Events a second. */
    rate: { type: 'string', default: '300' },
  },
  async measure(options) {
    const [minutes, rate] = [Number(options.minutes), Number(options.rate)];
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
    const total = String(Math.ceil(minutes * 60 * rate));
    const target = await startNode(['load/dispatch/function.ts', String(functionPort), '0', total], /ready/);
    const postern = await startNode([...(await program()), 'serve', '--config', config], /"msg":"ready"/);
    try {
      return await measureSoak({ minutes, rate, port, adminPort, postern, target });
    } finally {
      await stopNode(postern);
      await stopNode(target);
      await Promise.all([kafka.stop(), redis.stop()]);
      await rm(folder, { recursive: true, force: true });
    }
  },
});

interface SoakRun {
  minutes: number;
  /** Events a second. */
  rate: number;
  port: number;
  adminPort: number;
  postern: NodeProcess;
  /** The function, which prints `done` when it has every event. */
  target: NodeProcess;
}

async function measureSoak({ minutes, rate, port, adminPort, postern, target }: SoakRun): Promise<boolean> {
  let isDelivered = false;
  target.stdout!.on('data', (bytes: Buffer) => {
    isDelivered ||= bytes.toString().includes('done');
  });
  const samples: Sample[] = [];
  const every = Math.max(1_000, (minutes * 60_000) / 60);
  const watch = setInterval(() => {
    void sample(adminPort, postern.pid).then((one) => {
      samples.push(one);
      const at = ((samples.length * every) / 60_000).toFixed(1);
      console.log(
        `${at} min: RSS ${one.rss.toFixed(0)} MiB, heap ${one.heap.toFixed(0)} MiB, lag ${one.lag}`,
      );
    }, console.error);
  }, every);
  const url = `http://127.0.0.1:${port}/events/click`;
  const seconds = minutes * 60;
  const { p99, max, failed } = await openLoop(url, { run: 'soak', rate, seconds }).finally(() =>
    clearInterval(watch),
  );
  const total = Math.ceil(seconds * rate);
  console.log(
    `${total - failed} of ${total} events accepted at ${rate}/s: p99 ${p99.toFixed(1)} ms, longest ${max.toFixed(0)} ms`,
  );
  // The function counts up to all events, so that it says nothing when some were not accepted.
  if (failed === 0) await until('every event is delivered', () => isDelivered, { every: 100 });
  return !hasGrown(samples) && failed === 0;
}

/** Compares the last quarter with the second one, because the first is the warm-up. */
function hasGrown(samples: Sample[]): boolean {
  const quarter = Math.floor(samples.length / 4);
  if (quarter === 0) {
    console.log('too short to tell whether memory grew');
    return false;
  }
  const mid = (list: Sample[]) => median(list.map(({ rss }) => rss));
  const [before, after] = [mid(samples.slice(quarter, 2 * quarter)), mid(samples.slice(-quarter))];
  const grew = after > before * GROWTH;
  console.log(
    `memory ${grew ? 'grew' : 'did not grow'}: ${before.toFixed(0)} MiB in the second quarter, ${after.toFixed(0)} MiB in the last`,
  );
  return grew;
}

async function sample(adminPort: number, pid: number): Promise<Sample> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const sum = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
      (all, [, value]) => all + Number(value),
      0,
    );
  return {
    rss: rssMiB(pid),
    heap: sum('nodejs_heap_size_used_bytes') / 2 ** 20,
    lag: sum('postern_lag_events'),
  };
}
