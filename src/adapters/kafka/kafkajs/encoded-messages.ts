import type { Message } from 'kafkajs';
import type { LogRecord } from '../../../ports/event-log.ts';
import type { Round } from '../core/plan.ts';

/**
 * Records by partition in the form of a list of messages. kafkajs would ask for each message's partition and
 * copy a partition's list for each message that joins it; it does so by `reduce`, on every try, and this
 * list has the answer ready. `check` runs before each try; what it throws ends the send.
 *
 * Each partition's list is emptied when a broker has acknowledged it (produce.ts): when a partition moves to a broker
 * that a send is tried again for, kafkajs would have it stored a second time.
 */
class Carrier extends Array<Message> {
  readonly #lists = new Map<number, unknown[]>();
  readonly #check: () => void;

  constructor(round: Round, gzip: boolean, check: () => void) {
    super();
    for (const [partition, { records }] of round) {
      this.#lists.set(partition, gzip ? records.map(toMessage) : records);
    }
    this.#check = check;
  }

  override reduce(): never {
    this.#check();
    return Object.fromEntries([...this.#lists].filter(([, list]) => list.length > 0)) as never;
  }

  /** Whether a broker has acknowledged all records of a partition. */
  isStored(partition: number): boolean {
    return this.#lists.get(partition)!.length === 0;
  }

  /** Whether brokers have acknowledged everything. */
  get isDone(): boolean {
    return [...this.#lists.keys()].every((partition) => this.isStored(partition));
  }
}

/** What to give to a producer as `messages`. Without compression our own encoding takes the records as they are. */
export function carry(round: Round, compression: 'none' | 'gzip', check: () => void): Carrier {
  return new Carrier(round, compression === 'gzip', check);
}

/** kafkajs would write any bytes but a Buffer as text. */
function toMessage({ key, value, headers }: LogRecord): Message {
  const entries = Object.entries(headers);
  return {
    key: key === null ? null : toBuffer(key),
    value: value === null ? null : toBuffer(value),
    headers: Object.fromEntries(entries.map(([name, field]) => [name, toBuffer(field)])),
  };
}

function toBuffer(bytes: string | Uint8Array): Buffer {
  if (typeof bytes === 'string') return Buffer.from(bytes);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
