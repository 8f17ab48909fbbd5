import { within } from '../../core/lifecycle.ts';
import type { Appender, AppendVerdict, EventLog, LogRecord } from '../../ports/event-log.ts';
import type { Spooled, SpoolFile } from './spool-file.ts';
import { type ForwarderOptions, SpoolForwarder, unchecked } from './spool-forwarder.ts';

export interface SpoolOptions extends ForwarderOptions {
  log: EventLog;
  file: SpoolFile;
  /** Milliseconds that the log has for an append before its records are spooled. */
  after: number;
  /** Bytes that the spool may hold. */
  max: number;
}

/** An append to the log: the indexes of records that it did not store in time, and its verdicts if they come late. */
interface LiveAppend {
  left: number[];
  late: Promise<AppendVerdict[]> | null;
}

const PROBE_INTERVAL = 1_000;
/** Milliseconds that batches in flight have for an answer when closing. */
const IN_FLIGHT = 1_000;

/**
 * Stores records on disk while the log does not take them, and forwards them when it does again. While a topic has
 * records here, its later ones queue behind them, so that the order of each key is kept. `stored` means: in the log, or
 * here and on disk.
 *
 * The log may have stored a record that it did not acknowledge; such a record can come to be there twice. So the spool
 * gives the header `ce_dedupe: unchecked` to a record that the log failed before it was spooled, or that was forwarded
 * without an acknowledgement, by this process or one before it.
 */
export class Spool implements Appender {
  readonly #options: SpoolOptions;
  readonly #forwarder: SpoolForwarder;
  #fault: string | null = null;
  /** Bytes of the payloads that could not be kept last. */
  #failed = 0;
  #probeAt = 0;

  constructor(options: SpoolOptions) {
    this.#options = options;
    const { file, onLog } = options;
    if (file.events > 0) onLog('info', 'the spool holds events from before', { events: file.events });
    this.#forwarder = new SpoolForwarder(options);
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
    const topics = Map.groupBy(records.keys(), (index) => records[index]!.topic);
    await Promise.all(
      [...topics].map(async ([topic, indexes]) => {
        const live = this.#options.file.holds(topic)
          ? null
          : await this.#appendLive(records, indexes, verdicts);
        const left = live === null ? indexes : live.left;
        if (left.length === 0) return;
        const kept = left.map((index) => (live === null ? records[index]! : unchecked(records[index]!)));
        if (this.#keep(topic, kept, live?.late ?? null)) for (const index of left) verdicts[index] = 'stored';
      }),
    );
    return verdicts;
  }

  /** Null when the log or the spool takes records, else the reason why not. */
  problem(): string | null {
    const { log, file } = this.#options;
    const problem = log.problem();
    if (problem === null && file.events === 0) return null;
    if (this.#fault !== null && performance.now() >= this.#probeAt) this.#try(() => this.#probe());
    return this.#fault === null ? null : `${this.#fault}${problem === null ? '' : `; ${problem}`}`;
  }

  /** Forwards for about `grace` milliseconds while the log takes records; the rest stays for the next start. */
  async close(grace: number): Promise<void> {
    const { log, file, onLog } = this.#options;
    if (log.problem() === null) await within(Math.max(0, grace - IN_FLIGHT), this.#forwarder.idle());
    this.#forwarder.stop();
    // A batch without an answer stays here, and is forwarded again.
    if (log.problem() === null) await within(IN_FLIGHT, this.#forwarder.idle());
    if (file.events > 0)
      onLog('warn', 'events are left in the spool for the next start', { events: file.events });
    file.close();
  }

  /** Appends to the log itself, and writes the verdicts that it gives in time. */
  async #appendLive(records: LogRecord[], indexes: number[], verdicts: AppendVerdict[]): Promise<LiveAppend> {
    const { log, after } = this.#options;
    const work = log
      .append(indexes.map((index) => records[index]!))
      .catch(() => indexes.map((): AppendVerdict => 'failed'));
    let found = indexes.map((): AppendVerdict => 'failed');
    const inTime = await within(
      after,
      work.then((result) => {
        found = result;
      }),
    );
    for (const [i, index] of indexes.entries()) verdicts[index] = found[i]!;
    const left = indexes.filter((_, i) => found[i] === 'failed');
    return { left, late: inTime ? null : work };
  }

  /** Puts records of a topic into the file; false when it cannot take them. `late`: the log's verdicts on them. */
  #keep(topic: string, records: LogRecord[], late: Promise<AppendVerdict[]> | null): boolean {
    const { file, max, onLog } = this.#options;
    const isFirst = file.events === 0;
    let spooled: Spooled[] = [];
    const kept = this.#try(() => {
      const added = file.add(topic, records, max);
      if (added === null) throw noRoom(max);
      spooled = added;
    });
    if (!kept) {
      this.#failed = records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
      return false;
    }
    if (isFirst) onLog('warn', 'the log takes nothing; events go to the spool', { topic });
    // A slow log may store them yet. Forwarding waits for its late verdicts.
    const known = late?.then((found) =>
      file.remove(
        topic,
        spooled.filter((_, i) => found[i] === 'stored'),
      ),
    );
    this.#forwarder.forward(topic, known);
    return true;
  }

  /** Throws when the records that could not be kept last cannot be kept now either. */
  #probe(): void {
    const { file, max } = this.#options;
    if (file.bytes + this.#failed > max) throw noRoom(max);
    file.probe(this.#failed);
  }

  /** Runs work on the file; false, and a problem, when it throws. */
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
}

function noRoom(max: number): Error {
  return new Error(`has no room: the limit is ${max} bytes`);
}
