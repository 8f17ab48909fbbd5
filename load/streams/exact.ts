import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { parseDuration } from '../../src/core/units.ts';
import { readTopic } from '../../test/e2e/kafka-reader.ts';
import {
  awaitEmitted,
  expectedLines,
  type Kind,
  makeEvents,
  produce,
  produceEnd,
  seenOf,
} from '../../test/e2e/stream-events.ts';
import { stopNode } from '../rig/process.ts';
import { type Dispatcher, PARTITIONS, type StreamSetting, startDispatcher } from './dispatcher.ts';

/** Windows that are not there after this time (ms) are missing. */
const LAST_WINDOW_MS = 300_000;

/** Kills dispatchers while events come. True when every window is made once and is right, and no event is late. */
export async function checkExact(
  setting: StreamSetting,
  { events: count, kills, dispatchers }: { events: number; kills: number; dispatchers: number },
): Promise<boolean> {
  const { brokers, keys, window } = setting;
  const running = await Promise.all(Array.from({ length: dispatchers }, () => startDispatcher(setting)));
  try {
    await Promise.all([produceSlowly(brokers, count, keys, kills), killSome(running, setting, kills)]);
    await produceEnd(brokers, 'orders', PARTITIONS);
    const expected = expectedLines(seenOf(await readTopic(brokers, 'orders'), 'key'), kindOf(window));
    const found = await awaitEmitted(brokers, 'windows', expected.length, LAST_WINDOW_MS);
    const [known, made] = [new Set(expected), new Set(found)];
    const missing = expected.filter((line) => !made.has(line)).length;
    const extra = found.filter((line) => !known.has(line)).length;
    const late = (await readTopic(brokers, 'spend.late')).length;
    console.table({
      [`${window}, ${count} events, ${kills} kills`]: { windows: expected.length, missing, extra, late },
    });
    return missing + extra + late === 0;
  } finally {
    for (const { child } of running) await stopNode(child);
  }
}

/** Appends the events in as many parts as there are times between kills. */
async function produceSlowly(brokers: string, count: number, keys: number, kills: number): Promise<void> {
  const events = makeEvents(count, keys);
  const slice = Math.ceil(count / (kills + 1));
  for (let at = 0; at < count; at += slice) {
    await produce(brokers, 'orders', events.slice(at, at + slice), at);
    await sleep(5_000);
  }
}

/** Kills one of the dispatchers every 4 to 8 s, and starts another one in its place. */
async function killSome(running: Dispatcher[], setting: StreamSetting, kills: number): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    await sleep(4_000 + Math.random() * 4_000);
    const [victim] = running.splice(Math.floor(Math.random() * running.length), 1) as [Dispatcher];
    victim.child.kill('SIGKILL');
    await once(victim.child, 'exit');
    running.push(await startDispatcher(setting));
    console.log(`kill ${kill + 1} of ${kills}`);
  }
}

/** The durations of a window of the config, in milliseconds. */
function kindOf(text: string): Kind {
  const spans = Object.entries(parse(text) as Record<string, string>);
  return Object.fromEntries(spans.map(([name, span]) => [name, parseDuration(span)])) as Kind;
}
