import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { expectedWindows, lineOf, type Seen } from '../streams/reference.ts';
import { kafkaClient, type ReadRecord, readTopic } from './kafka-reader.ts';

/** The most that an event is out of order, in milliseconds. */
const LATENESS = 30_000;

export interface StreamEvent {
  key: string;
  user: string;
  /** Milliseconds since 1970. */
  time: number;
  total: number;
}

/** Events of `keys` keys over the last two hours, out of order by less than the lateness. */
export function makeEvents(count: number, keys: number, now = Date.now()): StreamEvent[] {
  const [from, step] = [now - 7_500_000, 7_200_000 / count];
  return Array.from({ length: count }, (_, i) => ({
    key: `key-${Math.floor(Math.random() * keys)}`,
    user: `user-${Math.floor(Math.random() * keys)}`,
    time: Math.floor(from + i * step - Math.random() * LATENESS),
    total: Math.floor(Math.random() * 1000),
  }));
}

function dataOf({ user, total }: StreamEvent): string {
  return JSON.stringify({ user, total });
}

function headersOf(id: string, time: number): Record<string, string> {
  return {
    ce_specversion: '1.0',
    ce_id: id,
    ce_source: '/shop',
    ce_type: 'shop.order',
    ce_time: new Date(time).toISOString(),
    'content-type': 'application/json',
  };
}

/** Appends events to a topic, in order, some at a time. */
export async function produce(
  brokers: string,
  topic: string,
  events: readonly StreamEvent[],
  from = 0,
): Promise<void> {
  await withProducer(brokers, async (producer) => {
    for (let at = 0; at < events.length; at += 1000) {
      const messages = events.slice(at, at + 1000).map((event, i) => ({
        key: event.key,
        value: dataOf(event),
        headers: headersOf(`e${from + at + i}`, event.time),
      }));
      await producer.send({ topic, messages });
    }
  });
}

/** Appends to each partition an event so late that all windows end. */
export async function produceEnd(
  brokers: string,
  topic: string,
  partitions: number,
  time = Date.now(),
): Promise<void> {
  await withProducer(brokers, async (producer) => {
    const messages = Array.from({ length: partitions }, (_, partition) => ({
      partition,
      key: 'end',
      value: '{"user":"end","total":0}',
      headers: headersOf(`end-${partition}-${time}`, time),
    }));
    await producer.send({ topic, messages });
  });
}

async function withProducer(
  brokers: string,
  work: (producer: kafkajs.Producer) => Promise<void>,
): Promise<void> {
  const producer = kafkaClient(brokers).producer({
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  try {
    await work(producer);
  } finally {
    await producer.disconnect();
  }
}

/** Records as the reference takes them, grouped by the record's key or by the member `user`. */
export function seenOf(
  records: readonly Pick<ReadRecord, 'key' | 'value' | 'headers'>[],
  by: 'key' | 'user',
): Seen[] {
  const seen = records.map(({ key, value, headers }) => {
    const data = JSON.parse(String(value)) as { user: string; total: number };
    return {
      key: by === 'key' ? String(key) : data.user,
      time: Date.parse(headers.ce_time!),
      total: data.total,
    };
  });
  return seen.filter(({ key }) => key !== 'end');
}

export type Kind = Parameters<typeof expectedWindows>[1];

/** The windows that these events must make, as lines. */
export function expectedLines(events: Seen[], kind: Kind): string[] {
  return expectedWindows(events, kind).map(lineOf).sort();
}

/** The windows of emitted events, as lines, once per id. Throws when two events of one id differ. */
export function emittedLines(records: readonly Pick<ReadRecord, 'value' | 'headers'>[]): string[] {
  const byId = new Map<string, string>();
  for (const { value, headers } of records) {
    const id = headers.ce_id!;
    const text = String(value);
    if ((byId.get(id) ?? text) !== text)
      throw new Error(`two events of one id differ: ${byId.get(id)} and ${text}`);
    byId.set(id, text);
  }
  const windows = [...byId.values()].map((text) => JSON.parse(text));
  return windows
    .filter(({ key }) => key !== 'end')
    .map(lineOf)
    .sort();
}

/** Reads a topic until it has `count` windows. Resolves with those that it has then, or after `ms` milliseconds. */
export async function awaitEmitted(
  brokers: string,
  topic: string,
  count: number,
  ms: number,
): Promise<string[]> {
  const ends = Date.now() + ms;
  for (;;) {
    const lines = emittedLines(await readTopic(brokers, topic));
    if (lines.length >= count || Date.now() > ends) return lines;
    await sleep(1_000);
  }
}
