import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { LINEAGE } from '../consume/dead-letter.ts';
import type { Appender, ConsumeOptions, StoredRecord } from '../ports/event-log.ts';
import type { LogReader } from '../ports/log-reader.ts';
import { recordSize } from '../ports/record-size.ts';
import { type LettersOptions, type PassedOver, readLetters } from './dead-letter-search.ts';
import { redrivenRecord, type StoredLetter } from './stored-letter.ts';

export interface RedriveOptions extends LettersOptions {
  log: Appender;
  /** The most letters to send; null for all. */
  limit: number | null;
  /** Letters a second; null for no limit. */
  rate: number | null;
  /** Sends nothing, only counts. */
  dryRun: boolean;
  /** Milliseconds on a clock that does not jump. */
  clock(): number;
  pause(ms: number): Promise<void>;
}

/** How many letters had which outcome. */
export interface Redriven extends PassedOver {
  sent: number;
  /** Sent by an earlier redrive. */
  already: number;
  /** The payload was too large for a dead letter, and the topic where it was at first no longer has it. */
  cut: number;
  /** Larger than the redrive topic takes. */
  tooLarge: number;
  /** Not known to be stored; nothing was sent after these. The next redrive finds out. */
  failed: number;
}

/** Letters, and bytes, in one append. */
const MAX_LETTERS = 500;
const MAX_BYTES = 4 * 1024 * 1024;
/** With a rate: appends per second. */
const APPENDS_PER_SECOND = 4;

/**
 * Sends dead letters to their subscription again: appends each to the redrive topic, which the subscription reads
 * beside its own topics. A letter that is in that topic already is not appended again, so a redrive that died or failed
 * half-way can be repeated. Letters of one key keep their order.
 */
export async function redrive(options: RedriveOptions): Promise<Redriven> {
  const { limit, rate, dryRun, clock, pause } = options;
  const counts = { sent: 0, already: 0, cut: 0, tooLarge: 0, failed: 0 };
  const most =
    rate === null ? MAX_LETTERS : Math.min(MAX_LETTERS, Math.max(1, Math.floor(rate / APPENDS_PER_SECOND)));
  const start = clock();
  let chosen = 0;
  let open: StoredLetter[] = [];
  let bytes = 0;

  async function send(): Promise<boolean> {
    const letters = open;
    open = [];
    bytes = 0;
    if (dryRun || letters.length === 0) {
      counts.sent += letters.length;
      return true;
    }
    const early = rate === null ? 0 : start + ((counts.sent + counts.tooLarge) / rate) * 1000 - clock();
    if (early > 0) await pause(early);
    for (const verdict of await append(options, letters)) {
      if (verdict === 'stored') counts.sent++;
      else if (verdict === 'too_large') counts.tooLarge++;
      else counts.failed++;
    }
    return counts.failed === 0;
  }

  const passed = await readLetters(options, async (letter, redriven) => {
    const whole = redriven ? null : await wholeLetter(letter, options.reader);
    if (redriven) counts.already++;
    else if (whole === null) counts.cut++;
    else {
      chosen++;
      bytes += recordSize(whole.record);
      open.push(whole);
      if ((open.length >= most || bytes >= MAX_BYTES) && !(await send())) return false;
    }
    return chosen !== limit;
  });
  if (counts.failed === 0) await send();
  return { ...counts, ...passed };
}

/** The letter with the payload that was cut from it, read where it was at first; null when it is no longer there. */
async function wholeLetter(letter: StoredLetter, reader: LogReader): Promise<StoredLetter | null> {
  if (letter.cut === null) return letter;
  const { topic, partition, offset, timestamp } = letter.origin;
  const ranges = (await reader.ranges(topic)).filter((one) => one.partition === partition);
  const kept = ranges.filter(({ from, end }) => from <= offset && offset < end);
  let found: StoredRecord | null = null as StoredRecord | null;
  await reader.read(
    kept.map((range) => ({ ...range, from: offset, end: offset + 1 })),
    async ([record]) => {
      // In a topic that was deleted and created again, another record has this offset.
      if (record!.timestamp === timestamp) found = record!;
      return true;
    },
  );
  if (found === null) return null;
  const { key, value } = found;
  const lineage = letter.record.headers[LINEAGE];
  const headers = lineage === undefined ? found.headers : { ...found.headers, [LINEAGE]: lineage };
  return { ...letter, cut: null, record: { ...letter.record, key, value, headers } };
}

async function append({ log, subscription }: RedriveOptions, letters: StoredLetter[]) {
  const { redrive: topic, group } = subscription;
  return log.append(letters.map((letter) => redrivenRecord(letter, topic!, group)));
}

/** The topics that a subscription reads: its own, and its redrive topic, which a new group always reads from the start. */
export function wantedBy({ group, topics, redrive, from }: SubscriptionConfig): ConsumeOptions {
  if (redrive === null) return { group, topics, from };
  return { group, topics: [...topics, redrive], from, starts: { [redrive]: 'earliest' } };
}
