import type { Message } from 'kafkajs';
import type { LogRecord } from '../../../ports/event-log.ts';
import type { Batches } from '../core/plan.ts';

/**
 * The records of one send, already sorted by partition, in the form of kafkajs' list of messages. On every attempt
 * kafkajs calls `reduce` to ask for each message's partition, and copies a partition's list for each message that joins
 * it; here `reduce` returns the sorted lists. Without gzip core/encode.ts takes the records as they are.
 *
 * A partition's list is emptied when a broker has acknowledged it (produce.ts). Otherwise kafkajs would store it a second
 * time when the partition moves to a broker that gets another attempt.
 */
export class EncodedMessages extends Array<Message> {
  readonly #lists = new Map<number, unknown[]>();
  readonly #assertOpen: () => void;

  /** `assertOpen` runs before each attempt; an error that it throws ends the send. */
  constructor(batches: Batches, compression: 'none' | 'gzip', assertOpen: () => void) {
    super();
    for (const [partition, { records }] of batches)
      this.#lists.set(partition, compression === 'gzip' ? records.map(toMessage) : records);
    this.#assertOpen = assertOpen;
  }

  override reduce(): never {
    this.#assertOpen();
    return Object.fromEntries([...this.#lists].filter(([, list]) => list.length > 0)) as never;
  }

  /** Whether a broker has acknowledged all records of a partition. */
  isStored(partition: number): boolean {
    return this.#lists.get(partition)!.length === 0;
  }

  /** Whether brokers have acknowledged all records. */
  get isDone(): boolean {
    return [...this.#lists.values()].every((list) => list.length === 0);
  }
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
