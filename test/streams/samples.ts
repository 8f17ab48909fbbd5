import type { StreamConfig } from '../../src/config/stream/types.ts';
import type { LogRecord, StoredRecord } from '../../src/ports/event-log.ts';
import { PartitionState } from '../../src/streams/partition-state.ts';
import { compileValues } from '../../src/streams/values.ts';
import { stored } from '../dispatcher/records.ts';

/** A stream's config; the rest as by default. */
export function streamConfig(changes: Partial<StreamConfig> = {}): StreamConfig {
  return {
    name: 'spend',
    group: 'postern.stream.spend',
    topics: ['orders'],
    from: 'earliest',
    filter: null,
    key: null,
    window: { tumbling: 60_000 },
    time: 'event',
    lateness: 0,
    idle: 30_000,
    maxOpenWindows: 250_000,
    aggregate: { n: 'count()', spent: 'sum(event.data.total)' },
    having: null,
    emit: { on: 'close', topic: 'alerts', type: 'spend.minute' },
    ...changes,
  };
}

export const T0 = Date.UTC(2026, 2, 1, 12);

/** An order of a key at so many seconds after `T0`. */
export function order(
  offset: number,
  key: string,
  seconds: number,
  data: Record<string, unknown> = {},
): StoredRecord {
  const time = T0 + seconds * 1000;
  return stored(
    JSON.stringify({ total: 1, ...data }),
    { ce_time: new Date(time).toISOString() },
    { offset, key: Buffer.from(key), timestamp: time },
  );
}

function makePart(
  config: StreamConfig,
  mark: string | null = null,
  entries = new Map<string, string>(),
): PartitionState {
  const options = { config, values: compileValues(config), origins: null, topic: 'orders', partition: 0 };
  return new PartitionState(options, mark, entries, 0);
}

/** A part with a store behind it: what a step of the run does, in memory. */
export class Steps {
  readonly config: StreamConfig;
  state: PartitionState;
  entries = new Map<string, string>();
  mark: string | null = null;
  out: LogRecord[] = [];

  constructor(config: StreamConfig) {
    this.config = config;
    this.state = makePart(config);
  }

  /** Takes records, closes, and stores. */
  step(records: StoredRecord[]): this {
    for (const record of records) this.state.take(record);
    this.state.close();
    const change = this.state.takeChange();
    this.out.push(...this.state.takeOutput());
    this.mark = change.mark;
    for (const [name, value] of change.entries) {
      if (value === null) this.entries.delete(name);
      else this.entries.set(name, value);
    }
    this.state.stored = change.mark;
    return this;
  }

  /** As another process would: from the store. */
  reload(): this {
    this.state = makePart(this.config, this.mark, this.entries);
    return this;
  }

  /** Data of emitted events. */
  data(): Record<string, unknown>[] {
    return this.out.filter(({ topic }) => topic === 'alerts').map(({ value }) => JSON.parse(String(value)));
  }
}
