import { pause, within } from '../../core/lifecycle.ts';
import {
  type Appender,
  type AppendVerdict,
  type EventLog,
  type LogRecord,
  markUnchecked,
} from '../../ports/event-log.ts';
import type { Spooled, SpoolFile } from './spool-file.ts';

export interface SpoolOptions {
  log: EventLog;
  file: SpoolFile;
  /** Milliseconds that the log has for an append before its records are spooled. */
  after: number;
  /** Bytes that the spool may hold. */
  max: number;
  /** The record for the rejected topic in the place of one that the log finds too large. */
  tooLarge(record: LogRecord): LogRecord;
  onLog(level: 'info' | 'warn' | 'error', message: string, extra: object): void;
}

/** What became of an append to the log: the places of what is not known to be there, and what it will say in the end. */
interface Trial {
  left: number[];
  late: Promise<AppendVerdict[]> | null;
}

/** Records of one append to the log, when the spool is emptied. */
const BATCH = 2_000;
const BATCH_BYTES = 4 * 1024 * 1024;
/** Milliseconds between two attempts to empty it, from the first to the longest wait. */
const FIRST_WAIT = 100;
const LONGEST_WAIT = 2_000;
const PROBE_INTERVAL = 1_000;
/** Milliseconds that the last batch has to come back when closing. */
const IN_FLIGHT = 1_000;

/**
 * Stores records on disk while the log does not take them, and forwards them when it does again. While a topic has
 * records here, its later ones queue behind them, so that the order of a key stays. `stored` means in the log, or
 * here and on disk.
 *
 * A record that the log did not acknowledge may be in it all the same: spooled, it can come to be there twice. Such
 * records have the header `ce_dedupe: unchecked`. So have those that are forwarded again, because the log did not
 * acknowledge them the first time or a process before may not have lived to hear it.
 */
export class Spool implements Appender {
  readonly #options: SpoolOptions;
  readonly #forwarders = new Map<string, Promise<void>>();
  /** By topic: the last record that the log may have already, of those that are first in the file. */
  readonly #doubtful = new Map<string, number>();
  readonly #stop = new AbortController();
  #fault: string | null = null;
  /** Bytes of the payloads that could not be kept last. */
  #failed = 0;
  #probeAt = 0;

  constructor(options: SpoolOptions) {
    this.#options = options;
    const { file, onLog } = options;
    if (file.events > 0) onLog('info', 'the spool holds events from before', { events: file.events });
    for (const topic of file.topics) {
      this.#doubtful.set(topic, Number.POSITIVE_INFINITY);
      this.#forward(topic);
    }
  }

  get events(): number {
    return this.#options.file.events;
  }

  get bytes(): number {
    return this.#options.file.bytes;
  }

  /** Bytes that it may hold. */
  get max(): number {
    return this.#options.max;
  }

  async append(records: LogRecord[]): Promise<AppendVerdict[]> {
    const verdicts = records.map((): AppendVerdict => 'failed');
    const topics = Map.groupBy(records.keys(), (place) => records[place]!.topic);
    await Promise.all(
      [...topics].map(async ([topic, places]) => {
        const trial = this.#options.file.holds(topic)
          ? { left: places, late: null }
          : await this.#live(records, places, verdicts);
        if (trial.left.length > 0) this.#keep(topic, records, trial, verdicts);
      }),
    );
    return verdicts;
  }

  /** Null when records can be taken, by the log or by the spool; else what is wrong. */
  problem(): string | null {
    const { log, file } = this.#options;
    const problem = log.problem();
    if (problem === null && file.events === 0) return null;
    if (this.#fault !== null && performance.now() >= this.#probeAt) this.#try(() => this.#probe());
    return this.#fault === null ? null : `${this.#fault}${problem === null ? '' : `; ${problem}`}`;
  }

  /** Forwards what the log takes within about `grace` milliseconds; what is left stays for the next start. */
  async close(grace: number): Promise<void> {
    const { log, file, onLog } = this.#options;
    if (log.problem() === null)
      await within(Math.max(0, grace - IN_FLIGHT), Promise.all(this.#forwarders.values()));
    this.#stop.abort();
    // What is in flight to a log that does not answer stays here: it is forwarded again.
    if (log.problem() === null) await within(IN_FLIGHT, Promise.all(this.#forwarders.values()));
    if (file.events > 0)
      onLog('warn', 'events are left in the spool for the next start', { events: file.events });
    file.close();
  }

  /** Appends to the log itself. */
  async #live(records: LogRecord[], places: number[], verdicts: AppendVerdict[]): Promise<Trial> {
    const { log, after } = this.#options;
    const work = log
      .append(places.map((place) => records[place]!))
      .catch(() => places.map((): AppendVerdict => 'failed'));
    let found = places.map((): AppendVerdict => 'failed');
    const inTime = await within(
      after,
      work.then((result) => {
        found = result;
      }),
    );
    const left: number[] = [];
    for (const [i, place] of places.entries()) {
      if (found[i] !== 'failed') verdicts[place] = found[i]!;
      else {
        left.push(place);
        markUnchecked(records[place]!);
      }
    }
    return { left, late: inTime ? null : work };
  }

  #keep(topic: string, records: LogRecord[], { left, late }: Trial, verdicts: AppendVerdict[]): void {
    const { file, max, onLog } = this.#options;
    const isFirst = file.events === 0;
    let spooled: Spooled[] = [];
    const kept = this.#try(() => {
      const added = file.add(
        topic,
        left.map((place) => records[place]!),
        max,
      );
      if (added === null) throw noRoom(max);
      spooled = added;
    });
    if (!kept) {
      this.#failed = left.reduce((sum, place) => sum + (records[place]!.value?.length ?? 0), 0);
      return;
    }
    for (const place of left) verdicts[place] = 'stored';
    if (isFirst) onLog('warn', 'the log takes nothing; events go to the spool', { topic });
    // A slow log may store them yet: what it says in the end decides what is forwarded.
    const known = late?.then((found) =>
      file.remove(
        topic,
        spooled.filter((_, i) => found[i] === 'stored'),
      ),
    );
    this.#forward(topic, known);
  }

  /** Throws when what could not be kept last could not be kept now. */
  #probe(): void {
    const { file, max } = this.#options;
    if (file.bytes + this.#failed > max) throw noRoom(max);
    file.probe(this.#failed);
  }

  #try(work: () => void): boolean {
    try {
      work();
      this.#fault = null;
      return true;
    } catch (error) {
      const fault = `spool: ${(error as Error).message}`;
      if (this.#fault === null) this.#options.onLog('error', 'the spool takes nothing', { error: fault });
      this.#fault = fault;
      this.#probeAt = performance.now() + PROBE_INTERVAL;
      return false;
    }
  }

  #forward(topic: string, known: Promise<void> = Promise.resolve()): void {
    if (this.#forwarders.has(topic)) return;
    const work = known
      .catch(() => {})
      .then(() => this.#empty(topic))
      .finally(() => this.#forwarders.delete(topic));
    this.#forwarders.set(topic, work);
  }

  async #empty(topic: string): Promise<void> {
    const { file, onLog } = this.#options;
    const { signal } = this.#stop;
    let wait = FIRST_WAIT;
    while (!signal.aborted && file.holds(topic)) {
      const started = performance.now();
      if (await this.#step(topic)) {
        wait = FIRST_WAIT;
        // Some of the time is for others.
        await pause(Math.min(50, (performance.now() - started) / 4), signal);
      } else {
        await pause(wait * (0.5 + Math.random()), signal);
        wait = Math.min(wait * 2, LONGEST_WAIT);
      }
    }
    if (file.events === 0) onLog('info', 'the spool is empty', {});
  }

  /** Forwards one batch; false when some of it is not in the log. Does not reject. */
  async #step(topic: string): Promise<boolean> {
    const { log, file, tooLarge, onLog } = this.#options;
    try {
      const batch = file.first(topic, BATCH, BATCH_BYTES);
      const doubtful = this.#doubtful.get(topic) ?? 0;
      for (const { id, record } of batch) if (id <= doubtful) markUnchecked(record);
      this.#doubtful.set(topic, batch.at(-1)!.id);
      const verdicts = await log.append(batch.map(({ record }) => record));
      const stored = batch.filter((_, i) => verdicts[i] === 'stored');
      if (stored.length === batch.length) file.removeFirst(topic, batch);
      else file.remove(topic, stored);
      for (const [i, spooled] of batch.entries()) {
        if (verdicts[i] !== 'too_large') continue;
        const record = tooLarge(spooled.record);
        file.replace(topic, spooled, record);
        this.#forward(record.topic);
      }
      if (verdicts.includes('failed')) return false;
      this.#doubtful.delete(topic);
      return true;
    } catch (error) {
      if (this.#stop.signal.aborted) return false;
      onLog('error', 'the spool cannot be emptied', { topic, error: (error as Error).message });
      return false;
    }
  }
}

function noRoom(max: number): Error {
  return new Error(`has no room: the limit is ${max} bytes`);
}
