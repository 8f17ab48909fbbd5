import type { StreamConfig } from '../config/stream/types.ts';
import type { ConsumeOptions, Position } from '../ports/event-log.ts';
import type { LogReader } from '../ports/log-reader.ts';
import type { StreamOutcome } from '../ports/report.ts';
import type { WindowStore } from '../ports/window-store.ts';
import { keyTopic } from './emitted.ts';
import { isAtEnd } from './end.ts';
import { Held } from './held.ts';
import { Stage, type StageOptions } from './stage.ts';
import { Tables } from './tables.ts';
import type { Values } from './values.ts';

export interface StreamRunOptions extends StageOptions {
  config: StreamConfig;
  values: Values;
  reader: LogReader;
  store: WindowStore;
  /** It reads the by-key topic, not the stream's topics themselves. */
  isKeyed: boolean;
  /** Milliseconds since 1970. */
  now: () => number;
  told(outcome: StreamOutcome): void;
}

/** Records of a partition that are taken in one step: the more, the fewer changes of the same windows are stored. */
const STEP = 8_000;
/** Records that are taken at once, which holds up everything else in the process. */
const SLICE = 1_000;

/**
 * From records to windows and emitted events: takes records, appends what they made, stores the windows, and only
 * then lets the position be committed.
 */
export class StreamRun extends Stage<Held> {
  readonly #options: StreamRunOptions;
  readonly #tables: Tables;
  readonly reads: ConsumeOptions;

  constructor(options: StreamRunOptions) {
    super(options);
    this.#options = options;
    this.#tables = new Tables(options);
    const { group, topics, from, name } = options.config;
    this.reads = options.isKeyed
      ? { group, topics: [keyTopic(name)], from: 'earliest' }
      : { group, topics, from };
  }

  protected hold(position: Position): Held {
    return new Held(position);
  }

  protected wantsStep(held: Held): boolean {
    return held.wantsStep;
  }

  protected async step(ready: Held[]): Promise<void> {
    for (const held of ready) {
      if (held.part !== null) continue;
      const loaded = await this.#tables.load(held);
      // Given up meanwhile, with all the others.
      if (this.isLost(held)) return;
      held.part = loaded;
    }
    try {
      for (const held of ready) if (held.pending === null) await this.#fill(held);
    } catch (error) {
      // State in memory may be between two records: what is stored is right.
      this.failed(error as Error);
      return;
    }
    const pending = ready.filter((held) => held.pending !== null);
    await this.#tables.store(pending, (held) => this.isLost(held));
    for (const { part } of ready) {
      const tally = part?.takeTally() ?? null;
      if (tally !== null) this.#options.told(tally);
    }
    const filterErrors = this.#options.values.takeErrors();
    if (filterErrors > 0) this.#options.told({ filterErrors });
  }

  /** Lets partitions that are idle go on by the clock. */
  protected async tick(): Promise<void> {
    const { config, now, reader } = this.#options;
    for (const held of this.held) {
      held.touchWhenOld(performance.now());
      if (!held.isIdle(performance.now(), config.idle) || !held.part!.isDue(now())) continue;
      if ((await isAtEnd(reader, held, held.next)) && held.waiting === 0) held.advance = true;
    }
  }

  /** Takes what waits, and closes what is due. */
  async #fill(held: Held): Promise<void> {
    const part = held.part!;
    if (held.advance) {
      held.advance = false;
      part.advance(this.#options.now());
      // Nothing is closed yet: the store must know first how late it is.
      held.pending = { output: [], change: part.takeChange() };
      held.closeNext = true;
      return;
    }
    for (let taken = 0; taken < STEP && held.waiting > 0; taken += SLICE) {
      if (taken > 0) await new Promise((resolve) => setImmediate(resolve));
      held.take(SLICE);
    }
    part.close();
    held.closeNext = false;
    const change = part.takeChange();
    const output = part.takeOutput();
    const isNews = change.mark !== change.expected || output.length > 0 || held.touch;
    held.pending = isNews ? { output, change } : null;
    held.touch = false;
  }
}
