import type { StreamConfig } from '../config/stream/types.ts';
import { retryWait } from '../function/retry.ts';
import type { ConsumeOptions, LogRecord, Position } from '../ports/event-log.ts';
import type { LogReader } from '../ports/log-reader.ts';
import type { StreamOutcome } from '../ports/report.ts';
import { keyTopic } from './emitted.ts';
import { type Keyed, SourcePartition } from './source-partition.ts';
import { Stage, type StageOptions } from './stage.ts';
import type { Values } from './values.ts';

export interface RepartitionOptions extends StageOptions {
  config: StreamConfig;
  values: Values;
  reader: LogReader;
  reported(facts: StreamOutcome): void;
}

/** Records of a partition in one step. */
const STEP = 2_000;
/** Time between marks of a source. */
const MARK_MS = 1_000;
const RETRY = { attempts: Number.POSITIVE_INFINITY, min: 100, max: 5_000 };

/**
 * Writes the events of a stream to a topic of its own, with the key of its windows. A record of a partition is appended
 * only when all records before it are stored, so that the offset of its origin is enough to recognize a copy.
 */
export class Repartition extends Stage<SourcePartition> {
  readonly #options: RepartitionOptions;
  readonly reads: ConsumeOptions;
  #failures = 0;

  constructor(options: RepartitionOptions) {
    super(options);
    this.#options = options;
    const { group, topics, from } = options.config;
    this.reads = { group: `${group}.repartition`, topics, from };
  }

  protected hold(position: Position): SourcePartition {
    return new SourcePartition(this.#options.config, this.#options.values, position);
  }

  protected wantsStep(source: SourcePartition): boolean {
    return source.waiting > 0 || source.marksNext !== null;
  }

  protected async step(ready: SourcePartition[]): Promise<void> {
    const { reported, values } = this.#options;
    const made = ready.map((source) => source.take(STEP));
    if (!(await this.#append(made.flatMap(({ records }) => records)))) return;
    for (const { source, next } of made) if (!this.isLost(source)) source.safe = next;
    const [future, keyless] = [sum(made, 'future'), sum(made, 'keyless')];
    const filterErrors = values.takeErrors();
    if (future + keyless + filterErrors > 0) reported({ future, keyless, filterErrors });
    await this.#mark(ready.filter((source) => source.marksNext !== null && !this.isLost(source)));
  }

  protected async tick(): Promise<void> {
    const now = performance.now();
    for (const source of this.held) {
      if (source.mayMark(now, MARK_MS)) source.marksNext = 'at';
      else if (source.mayBeIdle(now) && (await source.isAtEnd(this.#options.reader)) && source.waiting === 0)
        source.marksNext = 'idle';
    }
  }

  /** Writes marks of these sources to each partition of the by-key topic. */
  async #mark(sources: SourcePartition[]): Promise<void> {
    if (sources.length === 0) return;
    const ranges = await this.#options.reader.ranges(keyTopic(this.#options.config.name));
    const marks = sources.flatMap((source) => ranges.map(({ partition }) => source.mark(partition)));
    const now = performance.now();
    if (await this.#append(marks)) for (const source of sources) source.marked(now);
  }

  /** Appends records in order until all are stored; false when the partitions were given up before that. */
  async #append(records: LogRecord[]): Promise<boolean> {
    const { log, random, reported } = this.#options;
    for (let left = records; left.length > 0; ) {
      const verdicts = await log.append(left);
      const tooLarge = verdicts.filter((verdict) => verdict === 'too_large').length;
      if (tooLarge > 0) reported({ tooLarge });
      left = left.filter((_, i) => verdicts[i] === 'failed');
      if (left.length === 0) break;
      this.problem = 'the log does not take events of the stream';
      await this.wait(retryWait(++this.#failures, RETRY, null, random));
      if (this.isClosing) return false;
    }
    this.#failures = 0;
    return true;
  }
}

function sum(made: readonly Keyed[], name: 'future' | 'keyless'): number {
  return made.reduce((total, one) => total + one[name], 0);
}
