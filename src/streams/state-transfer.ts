import type { StreamConfig } from '../config/stream/types.ts';
import { type LogRecord, partitionName } from '../ports/event-log.ts';
import type { LogReader } from '../ports/log-reader.ts';
import type { StreamOutcome } from '../ports/report.ts';
import type { StreamPart, WindowStore } from '../ports/window-store.ts';
import { readMark } from './clock.ts';
import { PartitionState } from './partition-state.ts';
import type { Values } from './values.ts';
import type { WindowPartition } from './window-partition.ts';

export interface StateTransferOptions {
  config: StreamConfig;
  values: Values;
  reader: LogReader;
  store: WindowStore;
  isKeyed: boolean;
  reported(facts: StreamOutcome): void;
  /** Stores records. False when the partitions were given up before that. */
  append(records: LogRecord[]): Promise<boolean>;
}

/** Moves the state of partitions between memory, the store and the log. No event is lost or counted twice. */
export class StateTransfer {
  readonly #options: StateTransferOptions;

  constructor(options: StateTransferOptions) {
    this.#options = options;
  }

  /** Loads the state from the store. The part that the store has lost is made again from the log. */
  async load(held: WindowPartition): Promise<PartitionState> {
    const { config, store, reported } = this.#options;
    const key = this.#keyOf(held);
    const { mark, entries } = await store.load(key);
    if (mark !== null && PartitionState.isForeign(config, mark))
      reported({ state: 'redefined', partition: key.partition });
    const state = await this.#make(held, mark, entries);
    if (mark === null && (await this.#hasHistory(held)))
      reported({ state: 'lost', partition: key.partition });
    if (mark !== null && state.next < held.holding.start) {
      // The group's position shows that more was stored before: the store has lost its newest changes.
      reported({ state: 'replayed', partition: key.partition });
      await this.#replay(state, held);
    }
    return state;
  }

  /**
   * Appends the pending output, then changes the store, and loads the states again that another process has taken
   * further. Rejects when the store fails: then all of it may be done again, and does no harm twice.
   */
  async store(pending: WindowPartition[]): Promise<void> {
    const output = pending.flatMap(({ pending: made }) => made!.output);
    if (!(await this.#options.append(output))) return;
    for (const held of pending) held.pending!.output = [];
    const ours = pending.filter(({ holding }) => !holding.lost);
    if (ours.length === 0) return;
    const { store } = this.#options;
    const changes = ours.map((held) => ({ ...this.#keyOf(held), ...held.pending!.change }));
    const made = await store.change(changes);
    const now = performance.now();
    for (const [i, held] of ours.entries()) if (made[i]!) held.stored(now);
    for (const [i, held] of ours.entries()) if (!made[i]! && !held.holding.lost) await this.#settle(held);
  }

  /** The store has another mark than expected. Both sides read the same records, so the one that has read more is right. */
  async #settle(held: WindowPartition): Promise<void> {
    const { store, reported, config } = this.#options;
    const key = this.#keyOf(held);
    const state = held.state!;
    const { mark, entries } = await store.load(key);
    const isAhead = mark !== null && readMark(mark, config.lateness).next >= state.next;
    if (isAhead) {
      // Records taken since then are in the loaded state, or are read again after it.
      held.state = await this.#make(held, mark, entries);
      held.pending = null;
      held.closeNext = true;
      return;
    }
    const change = state.wholeChange(mark, entries);
    const [isMade] = await store.change([{ ...key, ...change }]);
    if (!isMade) throw new Error('several processes change the state of one partition');
    reported({ state: 'restored', partition: key.partition });
    held.pending!.change = change;
    held.stored(performance.now());
  }

  async #make(
    held: WindowPartition,
    mark: string | null,
    entries: ReadonlyMap<string, string>,
  ): Promise<PartitionState> {
    const { config, values, isKeyed } = this.#options;
    const origins = isKeyed ? await this.#origins() : null;
    const { topic, partition, start } = held.holding;
    return new PartitionState({ config, values, origins, topic, partition }, mark, entries, start);
  }

  async #origins(): Promise<string[]> {
    const { config, reader } = this.#options;
    const ranges = await Promise.all(config.topics.map((topic) => reader.ranges(topic)));
    return ranges.flat().map(partitionName);
  }

  /** Whether events were read before the group's position. With `from: latest` a first start looks the same. */
  async #hasHistory({ holding: { topic, partition, start } }: WindowPartition): Promise<boolean> {
    const ranges = await this.#options.reader.ranges(topic);
    return start > (ranges.find((range) => range.partition === partition)?.from ?? 0);
  }

  async #replay(state: PartitionState, { holding }: WindowPartition): Promise<void> {
    const { topic, partition, start } = holding;
    await this.#options.reader.read([{ topic, partition, from: state.next, end: start }], async (records) => {
      for (const record of records) state.take(record);
      return true;
    });
    // Compaction and transactions leave gaps in the offsets, also at the end.
    state.next = Math.max(state.next, start);
  }

  #keyOf(held: WindowPartition): StreamPart {
    return { stream: this.#options.config.name, partition: partitionName(held.holding) };
  }
}
