import type { StreamConfig } from '../config/stream/types.ts';
import { within } from '../core/lifecycle.ts';
import { retryWait } from '../function/retry.ts';
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
const RESTART = { attempts: Number.POSITIVE_INFINITY, min: 1_000, max: 60_000 };

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
  const runs = streams.flatMap((stream) => stream.runs);
  await within(START_MS, Promise.all(runs.map((one) => one.start())));
  return {
    open: () =>
      streams.map(({ name, windows }) => ({
        stream: name,
        value: windows.run.held.reduce((total, { state }) => total + (state?.open ?? 0), 0),
      })),
    watermark: () =>
      streams.flatMap(({ name, windows }) => {
        const marks = windows.run.held.flatMap(({ state }) =>
          state === null || state.watermark === Number.NEGATIVE_INFINITY ? [] : [state.watermark],
        );
        return marks.length === 0
          ? []
          : [{ stream: name, value: Math.max(0, now() - Math.min(...marks)) / 1000 }];
      }),
    lag: () =>
      streams.flatMap(({ name, runs: own }) =>
        own.flatMap(({ run }) =>
          run.held.flatMap(({ topic, partition, end, next }) =>
            end === null ? [] : [{ stream: name, topic, partition, value: Math.max(0, end - next) }],
          ),
        ),
      ),
    problem: () => runs.map(({ problem }) => problem).find((text) => text !== null) ?? null,
    async stop(graceMs) {
      await within(graceMs, Promise.all(runs.map((one) => one.stop())));
    },
  };
}

function makeStream(config: StreamConfig, options: StreamsOptions) {
  const { log, reader, store, report, now = Date.now, random = Math.random } = options;
  const { name } = config;
  const reported = (outcome: StreamOutcome) => report({ kind: 'stream', stream: name, ...outcome });
  const isKeyed = needsKeys(config);
  const windows = new RestartingRun(name, random, (failed) => {
    const values = compileValues(config);
    return new StreamRun({
      config,
      values,
      log,
      reader,
      store,
      isKeyed,
      now,
      random,
      reported,
      failed,
    });
  });
  if (!isKeyed) return { name, windows, runs: [windows] };
  const keys = new RestartingRun(name, random, (failed) => {
    const values = compileValues(config);
    return new Repartition({ config, values, log, reader, random, reported, failed });
  });
  return { name, windows, runs: [windows, keys] };
}

/** A run, and a new run after each one that failed. */
class RestartingRun<R extends StreamRun | Repartition> {
  readonly #name: string;
  readonly #random: () => number;
  readonly #make: (failed: (error: Error) => void) => R;
  run: R;
  #error: string | null = null;
  #failures = 0;
  #timer: NodeJS.Timeout | null = null;
  #starting: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(name: string, random: () => number, make: (failed: (error: Error) => void) => R) {
    this.#name = name;
    this.#random = random;
    this.#make = make;
    this.run = make(this.#failed);
  }

  get problem(): string | null {
    const text = this.#error ?? this.run.problem;
    return text === null ? null : `stream ${this.#name}: ${text}`;
  }

  /** Does not reject: a log that does not answer is tried again. */
  start(): Promise<void> {
    const { run } = this;
    this.#starting = run.start().then(
      () => {
        if (run !== this.run) return;
        this.#error = null;
        this.#failures = 0;
      },
      (error: Error) => run.failed(error),
    );
    return this.#starting;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await Promise.allSettled([this.run.stop(), this.#starting]);
  }

  readonly #failed = (error: Error): void => {
    if (this.#stopped) return;
    this.#error = error.message;
    const wait = RESTART.min + retryWait(++this.#failures, RESTART, null, this.#random);
    this.#timer = setTimeout(() => {
      this.run = this.#make(this.#failed);
      void this.start();
    }, wait);
  };
}
