import type { StreamConfig } from '../config/stream/types.ts';
import type { EventLog, LogRecord } from '../ports/event-log.ts';
import type { LogReader } from '../ports/log-reader.ts';
import type { StreamOutcome } from '../ports/report.ts';
import type { StreamPart, WindowStore } from '../ports/window-store.ts';
import { readMark } from './clock.ts';
import { isAtEnd } from './end.ts';
import type { Held } from './held.ts';
import { Part } from './part.ts';
import type { Values } from './values.ts';

export interface TablesOptions {
  config: StreamConfig;
  values: Values;
  log: EventLog;
  reader: LogReader;
  store: WindowStore;
  isKeyed: boolean;
  told(outcome: StreamOutcome): void;
}

/** Moves state between memory, the store and the log, so that nothing is lost or counted twice. */
export class Tables {
  readonly #options: TablesOptions;

  constructor(options: TablesOptions) {
    this.#options = options;
  }

  /** The part as the store knows it. What the store has forgotten of it is read again from the log. */
  async load(held: Held): Promise<Part> {
    const { config, store, told } = this.#options;
    const place = this.#placeOf(held);
    const { mark, entries } = await store.load(place);
    if (mark !== null && Part.isForeign(config, mark))
      told({ state: 'redefined', partition: place.partition });
    const part = await this.#make(held, mark, entries);
    if (mark === null && (await this.#hasHistory(held))) told({ state: 'lost', partition: place.partition });
    if (mark !== null && part.next < held.assignedAt) {
      // It was stored once, as the group's position says: the store has gone back.
      told({ state: 'replayed', partition: place.partition });
      await this.#replay(part, held);
    }
    return part;
  }

  /**
   * Appends what is pending, then makes the changes, and reloads parts that others have taken further. Rejects when the
   * log or the store gives no good answer: all of it may be asked for again then, and does no harm twice.
   */
  async store(pending: Held[], isLost: (held: Held) => boolean): Promise<void> {
    const output = pending.flatMap(({ pending: made }) => made!.output);
    await this.#append(output);
    for (const held of pending) held.pending!.output = [];
    const ours = pending.filter((held) => !isLost(held));
    if (ours.length === 0) return;
    const { store } = this.#options;
    const changes = ours.map((held) => ({ ...this.#placeOf(held), ...held.pending!.change }));
    const made = await store.change(changes);
    const now = performance.now();
    for (const [i, held] of ours.entries()) if (made[i]!) held.stored(now);
    for (const [i, held] of ours.entries()) if (!made[i]! && !isLost(held)) await this.#settle(held);
  }

  /** Those of these partitions behind which the log holds nothing. */
  async atEnd(held: Held[]): Promise<Held[]> {
    const found: Held[] = [];
    for (const one of held) if (await isAtEnd(this.#options.reader, one, one.part!.next)) found.push(one);
    return found;
  }

  /** The store has another mark than it should: whoever has read further is right, as both read the same records. */
  async #settle(held: Held): Promise<void> {
    const { store, told, config } = this.#options;
    const place = this.#placeOf(held);
    const part = held.part!;
    const { mark, entries } = await store.load(place);
    const isAhead = mark !== null && readMark(mark, config.lateness).next >= part.next;
    if (isAhead) {
      // What was taken meanwhile is in there, or comes again from where it ends.
      held.part = await this.#make(held, mark, entries);
      held.pending = null;
      held.closeNext = true;
      return;
    }
    const change = part.wholeChange(mark, entries);
    const [isMade] = await store.change([{ ...place, ...change }]);
    if (!isMade) throw new Error('the state of a partition is changed by several at once');
    told({ state: 'restored', partition: place.partition });
    held.pending!.change = change;
    held.stored(performance.now());
  }

  async #make(held: Held, mark: string | null, entries: ReadonlyMap<string, string>): Promise<Part> {
    const { config, values, isKeyed } = this.#options;
    const origins = isKeyed ? await this.#origins() : null;
    const { topic, partition, assignedAt } = held;
    return new Part({ config, values, origins, topic, partition }, mark, entries, assignedAt);
  }

  async #origins(): Promise<string[]> {
    const { config, reader } = this.#options;
    const ranges = await Promise.all(config.topics.map((topic) => reader.ranges(topic)));
    return ranges.flat().map(({ topic, partition }) => `${topic}/${partition}`);
  }

  /** Whether events were read before the group's position. With `from: latest` that cannot be told from a first start. */
  async #hasHistory({ topic, partition, assignedAt }: Held): Promise<boolean> {
    const ranges = await this.#options.reader.ranges(topic);
    return assignedAt > (ranges.find((range) => range.partition === partition)?.from ?? 0);
  }

  async #replay(part: Part, { topic, partition, assignedAt }: Held): Promise<void> {
    await this.#options.reader.read(
      [{ topic, partition, from: part.next, end: assignedAt }],
      async (records) => {
        for (const record of records) part.take(record);
        return true;
      },
    );
    // Compaction and transactions leave gaps, also at the end.
    part.next = Math.max(part.next, assignedAt);
  }

  async #append(records: LogRecord[]): Promise<void> {
    if (records.length === 0) return;
    const verdicts = await this.#options.log.append(records);
    const tooLarge = verdicts.filter((verdict) => verdict === 'too_large').length;
    if (verdicts.includes('failed')) throw new Error('the log does not take events of the stream');
    if (tooLarge > 0) this.#options.told({ tooLarge });
  }

  #placeOf({ topic, partition }: Held): StreamPart {
    return { stream: this.#options.config.name, partition: `${topic}/${partition}` };
  }
}
