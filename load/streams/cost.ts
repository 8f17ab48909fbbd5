import { Redis } from 'ioredis';
import { makeEvents, produce } from '../../test/e2e/stream-events.ts';
import { until } from '../../test/services/until.ts';
import { stopNode } from '../rig/process.ts';
import { type Dispatcher, type StreamSetting, startDispatcher } from './dispatcher.ts';

/** Prints what a stream costs: CPU per event, and memory of Redis per open window. */
export async function measureCost(setting: StreamSetting, count: number, redisUrl: string): Promise<void> {
  const { brokers, keys, window } = setting;
  const events = makeEvents(count, keys);
  const dispatcher = await startDispatcher(setting);
  try {
    const half = Math.floor(count / 2);
    await produce(brokers, 'orders', events.slice(0, half));
    await counted(dispatcher, half);
    // The second half arrives at once, so that the dispatcher works through a backlog with warm code.
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
    console.table({
      [window]: {
        'events/s': Math.round((count - done) / seconds),
        'CPU µs per event': Number(((cpu * 1e6) / (count - done)).toFixed(2)),
        'windows emitted': await metric(dispatcher, 'postern_stream_emitted_total'),
        'open windows': open,
        'bytes of Redis per open window': Number(((await stateBytes(redisUrl)) / open).toFixed(1)),
      },
    });
  } finally {
    await stopNode(dispatcher.child);
  }
}

/** Memory of all states of windows. */
async function stateBytes(url: string): Promise<number> {
  const client = new Redis(url);
  let bytes = 0;
  for (const key of await client.keys('*stream:*'))
    bytes += Number(await client.call('MEMORY', 'USAGE', key, 'SAMPLES', '0'));
  client.disconnect();
  return bytes;
}

/** The value of a metric, over all its labels; 0 while it is absent. */
async function metric({ admin }: Dispatcher, name: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const lines = text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'));
  return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
}

function counted(dispatcher: Dispatcher, count: number): Promise<void> {
  const isDone = async () => (await metric(dispatcher, 'postern_stream_events_total')) >= count;
  return until(`${count} events are in windows`, isDone, { ms: 1_800_000, every: 100 });
}
