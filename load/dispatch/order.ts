import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disorder, OrderedFunction } from '../../test/e2e/ordered-function.ts';
import { freePort } from '../../test/services/free-port.ts';
import { startKafka } from '../../test/services/kafka.ts';
import { until } from '../../test/services/until.ts';
import { fillTopic } from '../client/topic.ts';
import { type NodeProcess, startNode, stopNode } from '../rig/process.ts';
import { defineRun } from '../run.ts';

const TOPIC = 'order';
/** All events must be delivered by then. */
const LONGEST_MS = 3_600_000;

export const order = defineRun({
  about:
    'deliveries in the order of keys: how fast beside what the function allows; --chaos: over a kill -9 and rebalances',
  options: {
    events: { type: 'string', default: '100000' },
    keys: { type: 'string', default: '1000' },
    concurrency: { type: 'string', default: '64' },
    /** Milliseconds that the function takes. */
    ms: { type: 'string', default: '50' },
    /** Share of the calls that fail. */
    failing: { type: 'string', default: '0.05' },
    partitions: { type: 'string', default: '12' },
    chaos: { type: 'boolean', default: false },
  },
  async measure(options) {
    const [events, keys] = [Number(options.events), Number(options.keys)];
    const [concurrency, ms] = [Number(options.concurrency), Number(options.ms)];
    const target = new OrderedFunction({ ms, failing: Number(options.failing) });
    const url = await target.listen();
    const kafka = await startKafka();
    const { brokers } = kafka;
    const folder = await mkdtemp(join(tmpdir(), 'postern-order-'));
    const running: NodeProcess[] = [];
    const start = async () => {
      const config = join(folder, `${running.length}.yaml`);
      await writeFile(config, await configOf(brokers, url, concurrency));
      const args = ['src/main.ts', 'serve', '--role', 'dispatcher', '--config', config];
      const child = await startNode(args, /"msg":"ready"/);
      running.push(child);
      return child;
    };
    try {
      await fillTopic({ brokers, topic: TOPIC, partitions: Number(options.partitions) }, events, (n) => {
        const [key, number] = [`k${n % keys}`, Math.floor(n / keys)];
        const headers = {
          ce_specversion: '1.0',
          ce_id: `${key}/${number}`,
          ce_source: '/load',
          ce_type: 't',
        };
        return { key, value: '{}', headers };
      });
      const reached = (share: number) =>
        until(`${events * share} events are delivered`, () => target.different >= events * share, {
          ms: LONGEST_MS,
        });
      const { rate, atOnce } = await deliver(target, { start, reached, chaos: options.chaos });
      if (!options.chaos) {
        const share = (100 * rate * ms) / concurrency / 1000;
        console.log(
          `${rate.toFixed(0)} calls/s, ${share.toFixed(0)} % of what ${concurrency} calls of ${ms} ms allow`,
        );
        // On a busy machine a call takes longer than `ms`, and this shows it.
        console.log(`${atOnce.toFixed(1)} calls at once on average`);
      }
      const wrong = [...target.successes].flatMap(([, numbers]) => disorder(numbers, 5) ?? []);
      console.log(
        `${target.different} events delivered, ${target.delivered - target.different} of them again, ${target.failed} calls failed`,
      );
      console.log(
        `${wrong.length} of ${keys} keys out of order; ${target.met} calls met another of their key`,
      );
      return wrong.length === 0;
    } finally {
      for (const child of running) await stopNode(child);
      target.close();
      await kafka.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
});

interface Steps {
  /** Starts a dispatcher. */
  start(): Promise<NodeProcess>;
  /** Resolves when this share of the events is delivered. */
  reached(share: number): Promise<void>;
  /** Ends dispatchers meanwhile. */
  chaos: boolean;
}

/** Delivers everything. `rate`: calls a second; `atOnce`: calls at a time; both without the beginning and the end. */
async function deliver(
  target: OrderedFunction,
  { start, reached, chaos }: Steps,
): Promise<{ rate: number; atOnce: number }> {
  const first = await start();
  await reached(0.05);
  const started = performance.now();
  const before = target.delivered + target.failed;
  const { busy } = target;
  if (chaos) {
    const second = await start();
    await reached(0.3);
    first.kill('SIGKILL');
    await start();
    await reached(0.8);
    await stopNode(second);
  }
  await reached(0.95);
  const elapsed = performance.now() - started;
  const rate = ((target.delivered + target.failed - before) / elapsed) * 1000;
  const atOnce = (target.busy - busy) / elapsed;
  await reached(1);
  return { rate, atOnce };
}

async function configOf(brokers: string, url: string, concurrency: number): Promise<string> {
  return `admin: { listen: 127.0.0.1:${await freePort()} }
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { embedded: {} }
subscriptions:
  order:
    topics: [${TOPIC}]
    function: { http: { url: '${url}' } }
    order: key
    concurrency: ${concurrency}
    retry: { attempts: 20, min: 100ms, max: 1s }
`;
}
