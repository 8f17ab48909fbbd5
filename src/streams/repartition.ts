import type { StreamConfig } from '../config/stream/types.ts';
import { retryWait } from '../function/retry.ts';
import type { ConsumeOptions, LogRecord, Position } from '../ports/event-log.ts';
import type { LogReader } from '../ports/log-reader.ts';
import type { StreamOutcome } from '../ports/report.ts';
import { keyTopic } from './emitted.ts';
import { type Keyed, Source } from './source.ts';
import { Stage, type StageOptions } from './stage.ts';
import type { Values } from './values.ts';

export interface RepartitionOptions extends StageOptions {
  config: StreamConfig;
  values: Values;
  reader: LogReader;
  told(outcome: StreamOutcome): void;
}

const STEP = 2_000;
/** Milliseconds between marks of a source. */
const MARK_MS = 1_000;
const RETRY = { attempts: Number.POSITIVE_INFINITY, min: 100, max: 5_000 };

/**
 * Puts the events of a stream under the key that its windows go by, in a topic of its own. Nothing of a partition is
 * appended before all that came before it is stored, so that a copy is told by its origin's offset alone.
 */
export class Repartition extends Stage<Source> {
  readonly #options: RepartitionOptions;
  readonly reads: ConsumeOptions;
  #failures = 0;

  constructor(options: RepartitionOptions) {
    super(options);
    this.#options = options;
    const { group, topics, from } = options.config;
    this.reads = { group: `${group}.repartition`, topics, from };
  }

  protected hold(position: Position): Source {
    return new Source(this.#options.config, this.#options.values, position);
  }

  protected wantsStep(source: Source): boolean {
    return source.waiting > 0 || source.marksNext !== null;
  }

  protected async step(ready: Source[]): Promise<void> {
    const { told, values } = this.#options;
    const made = ready.map((source) => source.take(STEP));
    if (!(await this.#append(made.flatMap(({ records }) => records)))) return;
    for (const { source, next } of made) if (!this.isLost(source)) source.safe = next;
    const [future, keyless] = [sum(made, 'future'), sum(made, 'keyless')];
    const filterErrors = values.takeErrors();
    if (future + keyless + filterErrors > 0) told({ future, keyless, filterErrors });
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

  /** Tells each partition of the by-key topic how far these sources are. */
  async #mark(telling: Source[]): Promise<void> {
    if (telling.length === 0) return;
    const ranges = await this.#options.reader.ranges(keyTopic(this.#options.config.name));
    const marks = telling.flatMap((source) => ranges.map(({ partition }) => source.mark(partition)));
    const now = performance.now();
    if (await this.#append(marks)) for (const source of telling) source.marked(now);
  }

  /** Until all are stored, each after those before it; false when the partitions were given up meanwhile. */
  async #append(records: LogRecord[]): Promise<boolean> {
    const { log, random, told } = this.#options;
    for (let left = records; left.length > 0; ) {
      const verdicts = await log.append(left);
      const tooLarge = verdicts.filter((verdict) => verdict === 'too_large').length;
      if (tooLarge > 0) told({ tooLarge });
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
