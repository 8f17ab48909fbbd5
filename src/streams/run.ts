import type { StreamConfig } from '../config/stream/types.ts';
import type { Holding } from '../consume/commits.ts';
import type { LogReader } from '../ports/log-reader.ts';
import type { WindowStore } from '../ports/window-store.ts';
import { keyTopic } from './emitted.ts';
import { isAtEnd } from './end.ts';
import { Stage, type StageOptions, type Steps } from './stage.ts';
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
}

/** Records of a partition in one step. With more of them, windows that change often are stored less often. */
const STEP = 8_000;
/** Records that are taken without a pause. Meanwhile nothing else in the process runs. */
const SLICE = 1_000;

/**
 * Makes windows and events from records: takes records, appends the events, stores the windows, and only then allows the
 * position to be committed.
 */
export class StreamRun implements Steps<WindowPartition> {
  readonly #options: StreamRunOptions;
  readonly #transfer: StateTransfer;
  readonly stage: Stage<WindowPartition>;

  constructor(options: StreamRunOptions) {
    this.#options = options;
    const { group, topics, from, name } = options.config;
    const reads = options.isKeyed
      ? { group, topics: [keyTopic(name)], from: 'earliest' as const }
      : { group, topics, from };
    this.stage = new Stage(options, reads, this);
    this.#transfer = new StateTransfer({ ...options, append: (records) => this.stage.append(records) });
  }

  hold(holding: Holding): WindowPartition {
    return new WindowPartition(holding);
  }

  async step(ready: WindowPartition[]): Promise<void> {
    for (const held of ready) {
      if (held.state !== null) continue;
      const loaded = await this.#transfer.load(held);
      // It was lost during the load, with all the others.
      if (held.holding.lost) return;
      held.state = loaded;
    }
    try {
      for (const held of ready) if (held.pending === null) await this.#fill(held);
    } catch (error) {
      // The state in memory may be wrong now. The next run loads the stored one.
      this.stage.member.fail(error as Error);
      return;
    }
    try {
      await this.#transfer.store(ready.filter((held) => held.pending !== null));
    } finally {
      // Without a pending change all that it has taken is stored.
      for (const held of ready) if (held.pending === null) this.stage.finishBefore(held, held.state!.next);
    }
    for (const { state } of ready) {
      const tally = state?.takeTally() ?? null;
      if (tally !== null) this.#options.reported(tally);
    }
    const filterErrors = this.#options.values.takeErrors();
    if (filterErrors > 0) this.#options.reported({ filterErrors });
  }

  /** Lets time go on by the clock for partitions that are idle. */
  async tick(): Promise<void> {
    const { config, now, reader } = this.#options;
    for (const held of this.stage.held) {
      held.touchWhenOld(performance.now());
      if (!held.isIdle(performance.now(), config.idle) || !held.state!.isDue(now())) continue;
      if ((await isAtEnd(reader, held.holding, held.state!.next)) && held.waiting === 0) held.advance = true;
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
