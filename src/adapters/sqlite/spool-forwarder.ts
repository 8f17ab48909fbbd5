import { pause } from '../../core/lifecycle.ts';
import { type Appender, type LogRecord, markUnchecked } from '../../ports/event-log.ts';
import type { SpoolFile } from './spool-file.ts';

export interface ForwarderOptions {
  log: Appender;
  file: SpoolFile;
  /** Makes the record for the rejected topic that replaces one that the log finds too large. */
  tooLarge(record: LogRecord): LogRecord;
  onLog(level: 'info' | 'warn' | 'error', message: string, fields: object): void;
}

/** Limits of one append to the log. */
const BATCH_RECORDS = 2_000;
const BATCH_BYTES = 4 * 1024 * 1024;
/** Milliseconds between two attempts, from the first to the longest wait. */
const FIRST_WAIT = 100;
const LONGEST_WAIT = 2_000;

/** Forwards the records of a spool file to the log, each topic in order. */
export class SpoolForwarder {
  readonly #options: ForwarderOptions;
  readonly #running = new Map<string, Promise<void>>();
  /** By topic, the last id of the oldest records that the log may have already. */
  readonly #doubtful = new Map<string, number>();
  readonly #stopping = new AbortController();

  /** Forwards the file's records at once: a process before this one may have sent them to the log already. */
  constructor(options: ForwarderOptions) {
    this.#options = options;
    for (const topic of options.file.topics) {
      this.#doubtful.set(topic, Number.POSITIVE_INFINITY);
      this.forward(topic);
    }
  }

  /** Forwards a topic's records until the file has none, once `ready` has settled. */
  forward(topic: string, ready: Promise<void> = Promise.resolve()): void {
    if (this.#running.has(topic)) return;
    const work = ready
      .catch(() => {})
      .then(() => this.#empty(topic))
      .finally(() => this.#running.delete(topic));
    this.#running.set(topic, work);
  }

  /** Resolves when the work in hand has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Ends forwarding after the batches in flight. */
  stop(): void {
    this.#stopping.abort();
  }

  async #empty(topic: string): Promise<void> {
    const { file, onLog } = this.#options;
    const { signal } = this.#stopping;
    let wait = FIRST_WAIT;
    while (!signal.aborted && file.holds(topic)) {
      const started = performance.now();
      if (await this.#forwardBatch(topic)) {
        wait = FIRST_WAIT;
        // Leaves the event loop and the log some time for new events.
        await pause(Math.min(50, (performance.now() - started) / 4), signal);
      } else {
        await pause(wait * (0.5 + Math.random()), signal);
        wait = Math.min(wait * 2, LONGEST_WAIT);
      }
    }
    if (file.events === 0) onLog('info', 'the spool is empty', {});
  }

  /** Forwards one batch; false when some of it is not in the log. Does not reject. */
  async #forwardBatch(topic: string): Promise<boolean> {
    const { log, file, tooLarge, onLog } = this.#options;
    try {
      const batch = file.first(topic, BATCH_RECORDS, BATCH_BYTES);
      const doubtful = this.#doubtful.get(topic) ?? 0;
      this.#doubtful.set(topic, batch.at(-1)!.id);
      const records = batch.map(({ id, record }) => (id <= doubtful ? unchecked(record) : record));
      const verdicts = await log.append(records);
      const stored = batch.filter((_, i) => verdicts[i] === 'stored');
      if (stored.length === batch.length) file.removeFirst(topic, batch);
      else file.remove(topic, stored);
      for (const [i, spooled] of batch.entries()) {
        if (verdicts[i] !== 'too_large') continue;
        const record = tooLarge(records[i]!);
        file.replace(topic, spooled, record);
        this.forward(record.topic);
      }
      if (verdicts.includes('failed')) return false;
      this.#doubtful.delete(topic);
      return true;
    } catch (error) {
      if (this.#stopping.signal.aborted) return false;
      onLog('error', 'the spool cannot be emptied', { topic, error: (error as Error).message });
      return false;
    }
  }
}

/** A copy of a record, marked as one that may be in the log twice. */
export function unchecked(record: LogRecord): LogRecord {
  const copy = { ...record, headers: { ...record.headers } };
  markUnchecked(copy);
  return copy;
}
