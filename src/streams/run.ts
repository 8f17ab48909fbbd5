import type { StreamConfig } from '../config/stream/types.ts';
import type { ConsumeOptions, Position } from '../ports/event-log.ts';
import type { LogReader } from '../ports/log-reader.ts';
import type { StreamOutcome } from '../ports/report.ts';
import type { WindowStore } from '../ports/window-store.ts';
import { keyTopic } from './emitted.ts';
import { isAtEnd } from './end.ts';
import { Stage, type StageOptions } from './stage.ts';
import { StateTransfer } from './state-transfer.ts';
import type { Values } from './values.ts';
import { WindowPartition } from './window-partition.ts';

export interface StreamRunOptions extends StageOptions {
  config: StreamConfig;
  values: Values;
  reader: LogReader;
  store: WindowStore;
  /** It reads the by-key topic, not the stream's topics themselves. */
  isKeyed: boolean;
  /** Milliseconds since 1970. */
  now: () => number;
  reported(facts: StreamOutcome): void;
}

/** Records of a partition in one step. With more of them, windows that change often are stored less often. */
const STEP = 8_000;
/** Records that are taken without a pause. Meanwhile nothing else in the process runs. */
const SLICE = 1_000;

/**
 * Makes windows and events from records: takes records, appends the events, stores the windows, and only then allows the
 * position to be committed.
 */
export class StreamRun extends Stage<WindowPartition> {
  readonly #options: StreamRunOptions;
  readonly #transfer: StateTransfer;
  readonly reads: ConsumeOptions;

  constructor(options: StreamRunOptions) {
    super(options);
    this.#options = options;
    this.#transfer = new StateTransfer(options);
    const { group, topics, from, name } = options.config;
    this.reads = options.isKeyed
      ? { group, topics: [keyTopic(name)], from: 'earliest' }
      : { group, topics, from };
  }

  protected hold(position: Position): WindowPartition {
    return new WindowPartition(position);
  }

  protected wantsStep(held: WindowPartition): boolean {
    return held.wantsStep;
  }

  protected async step(ready: WindowPartition[]): Promise<void> {
    for (const held of ready) {
      if (held.state !== null) continue;
      const loaded = await this.#transfer.load(held);
      // It was lost during the load, with all the others.
      if (this.isLost(held)) return;
      held.state = loaded;
    }
    try {
      for (const held of ready) if (held.pending === null) await this.#fill(held);
    } catch (error) {
      // The state in memory may be wrong now. The next run loads the stored one.
      this.failed(error as Error);
      return;
    }
    const pending = ready.filter((held) => held.pending !== null);
    await this.#transfer.store(pending, (held) => this.isLost(held));
    for (const { state } of ready) {
      const tally = state?.takeTally() ?? null;
      if (tally !== null) this.#options.reported(tally);
    }
    const filterErrors = this.#options.values.takeErrors();
    if (filterErrors > 0) this.#options.reported({ filterErrors });
  }

  /** Lets time go on by the clock for partitions that are idle. */
  protected async tick(): Promise<void> {
    const { config, now, reader } = this.#options;
    for (const held of this.held) {
      held.touchWhenOld(performance.now());
      if (!held.isIdle(performance.now(), config.idle) || !held.state!.isDue(now())) continue;
      if ((await isAtEnd(reader, held, held.next)) && held.waiting === 0) held.advance = true;
    }
  }

  /** Takes the waiting records, and closes the windows that are due. */
  async #fill(held: WindowPartition): Promise<void> {
    const state = held.state!;
    if (held.advance) {
      held.advance = false;
      state.advance(this.#options.now());
      // No window is closed before the new watermark is stored.
      held.pending = { output: [], change: state.takeChange() };
      held.closeNext = true;
      return;
    }
    for (let taken = 0; taken < STEP && held.waiting > 0; taken += SLICE) {
      if (taken > 0) await new Promise((resolve) => setImmediate(resolve));
      held.take(SLICE);
    }
    state.close();
    held.closeNext = false;
    const change = state.takeChange();
    const output = state.takeOutput();
    const isChanged = change.mark !== change.expected || output.length > 0 || held.touch;
    held.pending = isChanged ? { output, change } : null;
    held.touch = false;
  }
}
