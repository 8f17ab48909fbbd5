import type { StreamConfig } from '../config/stream/types.ts';
import { lagOf } from '../consume/commits.ts';
import { within } from '../core/lifecycle.ts';
import type { EventLog } from '../ports/event-log.ts';
import type { LogReader } from '../ports/log-reader.ts';
import type { Report, StreamOutcome } from '../ports/report.ts';
import type { WindowStore } from '../ports/window-store.ts';
import { keyTopic, lateTopic } from './emitted.ts';
import { Repartition } from './repartition.ts';
import { StreamRun } from './run.ts';
import { compileValues } from './values.ts';

export interface StreamsOptions {
  streams: StreamConfig[];
  log: EventLog;
  reader: LogReader;
  store: WindowStore;
  report: Report;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** From 0 to below 1. */
  random?: () => number;
}

interface StreamGauge {
  stream: string;
  value: number;
}

export interface Streams {
  /** Windows that are open here. For sliding windows: their panes. */
  open(): StreamGauge[];
  /** Seconds by which the slowest partition's watermark is behind the clock; only streams that have a watermark. */
  watermark(): StreamGauge[];
  /** Events per partition that are not counted yet; only partitions where that is known. */
  lag(): (StreamGauge & { topic: string; partition: number })[];
  /** The first problem, or null. */
  problem(): string | null;
  /** Ends all at the same time. Events that are not stored within `graceMs` are counted by the next owner. */
  stop(graceMs: number): Promise<void>;
}

/** The start waits so long for a log that does not answer. */
const START_MS = 10_000;

/** Topics that a stream writes to. */
export function topicsOf(config: StreamConfig): string[] {
  const topics = [config.emit.topic, lateTopic(config.name)];
  return needsKeys(config) ? [...topics, keyTopic(config.name)] : topics;
}

/** Whether the events must first be written to a topic by the stream's key, so that all windows of a key are in one partition. */
function needsKeys({ key, topics }: StreamConfig): boolean {
  return key !== null || topics.length > 1;
}

/** Reads the topics of all streams. Resolves when all read, or have tried to. Rejects on an expression that is wrong. */
export async function startStreams(options: StreamsOptions): Promise<Streams> {
  const { now = Date.now } = options;
  const streams = options.streams.map((config) => makeStream(config, options));
  const stages = streams.flatMap(({ name, stages: own }) => own.map((stage) => ({ name, stage })));
  await within(START_MS, Promise.all(stages.map(({ stage }) => stage.member.start())));
  return {
    open: () =>
      streams.map(({ name, windows }) => ({
        stream: name,
        value: windows.held.reduce((total, { state }) => total + (state?.open ?? 0), 0),
      })),
    watermark: () =>
      streams.flatMap(({ name, windows }) => {
        const marks = windows.held.flatMap(({ state }) =>
          state === null || state.watermark === Number.NEGATIVE_INFINITY ? [] : [state.watermark],
        );
        return marks.length === 0
          ? []
          : [{ stream: name, value: Math.max(0, now() - Math.min(...marks)) / 1000 }];
      }),
    lag: () =>
      stages.flatMap(({ name, stage }) =>
        lagOf(stage.member.commits.holdings).map((lag) => ({ stream: name, ...lag })),
      ),
    problem() {
      for (const { name, stage } of stages)
        if (stage.problem !== null) return `stream ${name}: ${stage.problem}`;
      return null;
    },
    async stop(graceMs) {
      await within(graceMs, Promise.all(stages.map(({ stage }) => stage.stop(graceMs))));
    },
  };
}

function makeStream(config: StreamConfig, options: StreamsOptions) {
  const { report, now = Date.now, random = Math.random } = options;
  const { name } = config;
  const reported = (outcome: StreamOutcome) => report({ kind: 'stream', stream: name, ...outcome });
  const isKeyed = needsKeys(config);
  const shared = { ...options, config, now, random, reported };
  const windows = new StreamRun({ ...shared, values: compileValues(config), isKeyed }).stage;
  if (!isKeyed) return { name, windows, stages: [windows] };
  const keys = new Repartition({ ...shared, values: compileValues(config) }).stage;
  return { name, windows, stages: [windows, keys] };
}
