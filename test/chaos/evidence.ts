import { setTimeout as sleep } from 'node:timers/promises';
import { kafkaClient, readTopic } from '../e2e/kafka-reader.ts';
import { numberOf, STRANGER, textOf } from './events.ts';
import type { Copy } from './ledger.ts';
import type { Platform } from './platform.ts';
import type { Stage } from './stage.ts';

/** The contents of Kafka after a run. */
export interface Evidence {
  /** By id. */
  copies: Map<string, Copy[]>;
  /** Number of records of rejected events, by id. */
  kept: Map<string, number>;
  /** Number of dead letters, by subscription and id. */
  dead: Map<string, Map<string, number>>;
}

/** Reads everything back with a client of its own. */
export async function readEvidence({ platform, sources, subscriptions }: Stage<Platform>): Promise<Evidence> {
  const copies = new Map<string, Copy[]>();
  const kept = new Map<string, number>();
  for (const { topic } of sources) {
    for (const { headers, value, time } of await readTopic(platform.brokers, topic)) {
      const id = headers.ce_id!;
      if (id === STRANGER) continue;
      const intact = value?.toString() === textOf(numberOf(id));
      const copy = { time, unchecked: headers.ce_dedupe === 'unchecked', intact };
      const others = copies.get(id);
      if (others === undefined) copies.set(id, [copy]);
      else others.push(copy);
    }
    await count(platform.brokers, `${topic}.rejected`, kept);
  }
  const dead = new Map<string, Map<string, number>>();
  for (const { name, dead: letters } of subscriptions) dead.set(name, await count(platform.brokers, letters));
  return { copies, kept, dead };
}

async function count(
  brokers: string,
  topic: string,
  counts = new Map<string, number>(),
): Promise<Map<string, number>> {
  for (const { headers } of await readTopic(brokers, topic)) {
    counts.set(headers.ce_id!, (counts.get(headers.ce_id!) ?? 0) + 1);
  }
  return counts;
}

/** Waits until the spools are empty and every group has read everything. Returns what is left after `ms` milliseconds. */
export async function drain(stage: Stage<Platform>, ms: number): Promise<string[]> {
  const ends = Date.now() + ms;
  const admin = kafkaClient(stage.platform.brokers).admin();
  await admin.connect();
  try {
    for (;;) {
      const left: string[] = [];
      for (const [i, gateway] of stage.gateways.entries()) {
        const events = await spooled(gateway.admin);
        if (events > 0) left.push(`gateway ${i} has ${events} events in its spool`);
      }
      for (const { name, group, topic } of stage.subscriptions) {
        // A broker that has just come back may not lead yet.
        const behind = await lag(admin, group, topic).catch((error: Error) => error.message);
        if (typeof behind === 'string') left.push(`subscription ${name}: ${behind}`);
        else if (behind > 0) left.push(`subscription ${name} is ${behind} events behind`);
      }
      if (left.length === 0 || Date.now() > ends) return left;
      await sleep(300);
    }
  } finally {
    await admin.disconnect();
  }
}

async function spooled(admin: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Number(/^postern_spool_events (\d+)$/m.exec(text)?.[1] ?? 0);
}

/** Records of a topic that a group has not committed. */
async function lag(
  admin: ReturnType<ReturnType<typeof kafkaClient>['admin']>,
  group: string,
  topic: string,
): Promise<number> {
  const [ends, offsets] = [
    await admin.fetchTopicOffsets(topic),
    await admin.fetchOffsets({ groupId: group, topics: [topic] }),
  ];
  const committed = new Map(
    offsets[0]!.partitions.map(({ partition, offset }) => [partition, Number(offset)]),
  );
  return ends.reduce(
    (sum, { partition, high }) =>
      sum + Math.max(0, Number(high) - Math.max(0, committed.get(partition) ?? 0)),
    0,
  );
}
