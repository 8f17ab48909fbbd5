import { isUtf8 } from 'node:buffer';
import { asBuffer, cloudEvent } from '../cloudevents/record.ts';
import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { printable } from '../core/printable.ts';
import type { LetterFilter, PassedOver } from '../dispatcher/dead-letter-search.ts';
import type { Redriven } from '../dispatcher/redrive.ts';
import { eventOf, type StoredLetter } from '../dispatcher/stored-letter.ts';

const COLUMNS = ['PLACE', 'TIME', 'ID', 'TYPE', 'REASON', 'STATUS', 'ATTEMPTS', 'REDRIVEN'];
/** Most characters of a column. */
const MAX_WIDTH = 48;

/** A table of the newest dead letters, and how many there are for each reason. */
export class Listing {
  readonly #maxRows: number;
  #rows: { time: number; cells: string[] }[] = [];
  readonly #reasons = new Map<string, number>();
  #all = 0;
  #redriven = 0;

  /** `maxRows`: the table shows the newest ones. */
  constructor(maxRows: number) {
    this.#maxRows = maxRows;
  }

  add(letter: StoredLetter, redriven: boolean): void {
    const { record, reason, status, attempts } = letter;
    const { id, type } = cloudEvent(eventOf(letter)).attributes;
    this.#all++;
    if (redriven) this.#redriven++;
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    const cells = [placeOf(letter), timeOf(record.timestamp), id!, type!, reason];
    cells.push(status === null ? '-' : String(status), String(attempts), redriven ? 'yes' : '-');
    this.#rows.push({ time: record.timestamp, cells: cells.map(cell) });
    // Letters come by partition, not by time, so more rows are kept until they are sorted.
    if (this.#rows.length >= 2 * this.#maxRows + 100) this.#cut();
  }

  text({ name, deadLetter }: SubscriptionConfig, passed: PassedOver, wanted: LetterFilter | null): string {
    this.#cut();
    const table = [COLUMNS, ...this.#rows.map(({ cells }) => cells)];
    const widths = COLUMNS.map((_, i) => table.reduce((most, row) => Math.max(most, row[i]!.length), 0));
    const lines = table.map((row) =>
      row
        .map((text, i) => text.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    );
    const reasons = [...this.#reasons]
      .sort(([, a], [, b]) => b - a)
      .map(([reason, n]) => `${n} ${printable(reason)}`);
    const sum = `${counted(this.#all, 'dead letter')} of ${name} in ${deadLetter}`;
    const shown =
      this.#rows.length < this.#all
        ? [`the newest ${this.#rows.length} are shown; --limit N shows more`]
        : [];
    return [
      ...(this.#all === 0 ? [] : [...lines, '']),
      this.#all === 0 ? sum : `${sum}: ${reasons.join(', ')}; redriven: ${this.#redriven}`,
      ...shown,
      ...passedLines(passed, wanted),
    ].join('\n');
  }

  #cut(): void {
    this.#rows.sort((a, b) => a.time - b.time);
    if (this.#rows.length > this.#maxRows) this.#rows = this.#rows.slice(-this.#maxRows);
  }
}

/** One dead letter with its payload, for people. */
export function letterText(letter: StoredLetter, redriven: boolean): string {
  const { record, origin, lineage, cut } = letter;
  const { key, value, headers } = eventOf(letter);
  const facts: [string, string][] = [
    ['place', `${placeOf(letter)} of ${record.topic}`],
    ['time', timeOf(record.timestamp)],
    ['reason', letter.reason],
    ['status', letter.status === null ? '-' : String(letter.status)],
    ['attempts', String(letter.attempts)],
    ['first', letter.firstTime],
    ['last', letter.lastTime],
    ['response', letter.error || '-'],
    ['origin', `${origin.partition}:${origin.offset} of ${origin.topic}, ${timeOf(origin.timestamp)}`],
    ['redriven', redriven ? 'yes' : 'no'],
    ...lineage.map((one): [string, string] => ['before', one]),
    ...(cut === null ? [] : [['cut', `${cut} left out, as the record was too large`] as [string, string]]),
    ['key', key === null ? '-' : textOf(key)],
  ];
  return [
    ...facts.map(([name, text]) => `${name.padEnd(10)}${printable(text)}`),
    'headers',
    ...Object.entries(headers).map(([name, bytes]) => `  ${printable(`${name}: ${textOf(bytes)}`)}`),
    value === null
      ? 'no payload'
      : `payload, ${counted(value.length, 'byte')}${isUtf8(value) ? '' : ', base64'}`,
    ...(value === null ? [] : [printable(textOf(value), true)]),
  ].join('\n');
}

/** One dead letter for machines. Bytes that are not UTF-8 become `{ base64 }`. `whole`: with key, headers and payload. */
export function letterJson(letter: StoredLetter, redriven: boolean, whole = false): object {
  const { record, reason, status, attempts, firstTime, lastTime, error, lineage, cut } = letter;
  const { id, source, type } = cloudEvent(eventOf(letter)).attributes;
  const { topic, partition, offset, timestamp } = letter.origin;
  const { key, value, headers } = eventOf(letter);
  const text = (bytes: Uint8Array | null) =>
    bytes === null || isUtf8(bytes) ? bytes && textOf(bytes) : { base64: textOf(bytes) };
  const all = Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, text(bytes)]));
  return {
    place: placeOf(letter),
    time: timeOf(record.timestamp),
    ...{ id, source, type, reason, status, attempts, firstTime, lastTime, error },
    origin: { topic, partition, offset, time: timeOf(timestamp) },
    ...{ redriven, lineage, cut },
    ...(whole ? { key: text(key), headers: all, payload: text(value) } : {}),
  };
}

/** The result of a redrive, for people. */
export function redriveText(
  redriven: Redriven,
  { name, redrive }: SubscriptionConfig,
  dryRun: boolean,
  wanted: LetterFilter | null,
): string {
  const { sent, already, cut, tooLarge, failed } = redriven;
  const counts: [number, string][] = [
    [already, 'sent by an earlier redrive'],
    [cut, 'cannot be sent again: their payload was too large to be kept, and is no longer in its topic'],
    [tooLarge, `too large for the topic ${redrive}`],
    [failed, 'not known to be stored: run this again, it sends what is missing'],
  ];
  return [
    dryRun
      ? `${counted(sent, 'dead letter')} would be sent to ${name} again`
      : `${counted(sent, 'dead letter')} sent to ${name} again, through the topic ${redrive}`,
    ...counts.filter(([count]) => count > 0).map(([count, text]) => `${count} ${text}`),
    ...passedLines(redriven, wanted),
  ].join('\n');
}

function passedLines({ others, foreign, unwanted }: PassedOver, wanted: LetterFilter | null): string[] {
  const names = [...others].map(([name, count]) => `${count} of ${printable(name)}`);
  const errors = wanted?.errors ?? 0;
  return [
    ...(names.length > 0 ? [`passed over: ${names.join(', ')}`] : []),
    ...(foreign > 0
      ? [
          `passed over: ${counted(foreign, 'record')} that ${foreign === 1 ? 'is no dead letter' : 'are no dead letters'}`,
        ]
      : []),
    ...(unwanted > 0
      ? [`${unwanted} do not match the filter${errors > 0 ? `, which failed for ${errors} of them` : ''}`]
      : []),
  ];
}

function placeOf({ record }: StoredLetter): string {
  return `${record.partition}:${record.offset}`;
}

function timeOf(timestamp: number): string {
  const time = new Date(timestamp);
  return Number.isNaN(time.getTime()) ? String(timestamp) : time.toISOString();
}

function textOf(bytes: Uint8Array): string {
  return asBuffer(bytes).toString(isUtf8(bytes) ? 'utf8' : 'base64');
}

function cell(text: string): string {
  const plain = printable(text);
  return plain.length > MAX_WIDTH ? `${plain.slice(0, MAX_WIDTH - 1)}…` : plain;
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
