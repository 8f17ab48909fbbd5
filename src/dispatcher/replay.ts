import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { type EventLog, partitionName } from '../ports/event-log.ts';
import type { LogReader, Range } from '../ports/log-reader.ts';
import type { DeliveryOutcome, Report } from '../ports/report.ts';
import { BoundedLog } from './bounded-log.ts';
import { startDispatcher } from './subscriptions.ts';

export interface ReplayOptions {
  subscription: SubscriptionConfig;
  log: EventLog;
  reader: LogReader;
  report: Report;
  /** As of `startDispatcher`. */
  bootstrapServers?: string;
  /** Milliseconds since 1970: events of this time or later, and before `to` if that is not null. */
  from: number;
  to: number | null;
  /** Calls a second; null for the subscription's own limit. */
  rate: number | null;
  /** Milliseconds that calls may take to end once `signal` aborts. */
  grace: number;
  signal: AbortSignal;
}

export interface Replayed {
  /** Events by outcome; retries are counted by attempts. */
  events: Record<DeliveryOutcome, number>;
  /** False when it was stopped before its end. */
  finished: boolean;
}

/** The consumer group of a replay: the same replay goes on where it was stopped or died. */
export function replayGroup({ group }: SubscriptionConfig, from: number): string {
  return `${group}.replay.${new Date(from).toISOString()}`;
}

/**
 * Calls a subscription's function once more with the events of a time, as the dispatcher does: with filter, order,
 * retries and dead letters. Resolves when all events that the topics held at the start are concluded. Rejects when a
 * topic does not exist.
 */
export async function replay(options: ReplayOptions): Promise<Replayed> {
  const { subscription, log, reader, from, to, grace, signal } = options;
  const events = { delivered: 0, filtered: 0, retry: 0, dead_letter: 0 };
  const ends = new Map<string, number>();
  for (const topic of subscription.topics) {
    const ranges = await reader.ranges(topic, from);
    if (ranges.length === 0) throw new Error(`there is no topic ${topic}`);
    for (const range of ranges) ends.set(partitionName(range), (await lastOffset(reader, range)) + 1);
  }
  const report: Report = (fact) => {
    if (fact.kind === 'delivery') events[fact.outcome] += fact.events;
    options.report(fact);
  };
  const rate = Math.min(
    options.rate ?? Number.POSITIVE_INFINITY,
    subscription.rate ?? Number.POSITIVE_INFINITY,
  );
  const bounded = new BoundedLog(log, { from, to, ends });
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const dispatcher = await startDispatcher({
    subscriptions: [
      {
        ...subscription,
        group: replayGroup(subscription, from),
        rate: rate === Number.POSITIVE_INFINITY ? null : rate,
        redrive: null,
        warm: null,
        // Events that were delivered before are wanted again.
        dedupe: null,
      },
    ],
    log: bounded,
    report,
    bootstrapServers: options.bootstrapServers ?? '',
  });
  await Promise.race([bounded.done, stopped]);
  await dispatcher.stop(grace);
  return { events, finished: bounded.isDone };
}

/** The newest record's offset; -1 when there is none. The last offsets may be marks of transactions, not records. */
async function lastOffset(reader: LogReader, range: Range): Promise<number> {
  let last = -1;
  for (let size = 1; last === -1; size *= 16) {
    const from = Math.max(range.from, range.end - size);
    await reader.read([{ ...range, from }], async (records) => {
      last = records.at(-1)!.offset;
      return true;
    });
    if (from === range.from) break;
  }
  return last;
}
