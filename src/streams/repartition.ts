import type { StreamConfig } from '../config/stream/types.ts';
import type { Holding } from '../consume/commits.ts';
import type { LogReader } from '../ports/log-reader.ts';
import { keyTopic } from './emitted.ts';
import { type Keyed, SourcePartition } from './source-partition.ts';
import { Stage, type StageOptions, type Steps } from './stage.ts';
import type { Values } from './values.ts';

export interface RepartitionOptions extends StageOptions {
  config: StreamConfig;
  values: Values;
  reader: LogReader;
}

/** Records of a partition in one step. */
const STEP = 2_000;
/** Time between marks of a source. */
const MARK_MS = 1_000;

/**
 * Writes the events of a stream to a topic of its own, with the key of its windows. A record of a partition is appended
 * only when all records before it are stored, so that the offset of its origin is enough to recognize a copy.
 */
export class Repartition implements Steps<SourcePartition> {
  readonly #options: RepartitionOptions;
  readonly stage: Stage<SourcePartition>;

  constructor(options: RepartitionOptions) {
    this.#options = options;
    const { group, topics, from } = options.config;
    this.stage = new Stage(options, { group: `${group}.repartition`, topics, from }, this);
  }

  hold(holding: Holding): SourcePartition {
    return new SourcePartition(this.#options.config, this.#options.values, holding);
  }

  async step(ready: SourcePartition[]): Promise<void> {
    const { reported, values } = this.#options;
    const made = ready.map((source) => source.take(STEP));
    if (!(await this.stage.append(made.flatMap(({ records }) => records)))) return;
    for (const { source, next } of made) this.stage.finishBefore(source, next);
    const [future, keyless] = [sum(made, 'future'), sum(made, 'keyless')];
    const filterErrors = values.takeErrors();
    if (future + keyless + filterErrors > 0) reported({ future, keyless, filterErrors });
    await this.#mark(ready.filter((source) => source.marksNext !== null && !source.holding.lost));
  }

  async tick(): Promise<void> {
    const now = performance.now();
    for (const source of this.stage.held) {
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
    if (await this.stage.append(marks)) for (const source of sources) source.marked(now);
  }
}

function sum(made: readonly Keyed[], name: 'future' | 'keyless'): number {
  return made.reduce((total, one) => total + one[name], 0);
}
