import { RequestError } from '../../core/errors.ts';
import { unusable } from '../../core/header-text.ts';
import { isObject } from '../../json/parse.ts';
import { eachMember, nameText, type Span, textOf } from '../../json/scan.ts';
import { parseDecimal } from './decimal.ts';
import type { ParsedEvent } from './event.ts';

/** The version of SenML that is known. */
export const VERSION = 10;
/** Labels of one record; the standard knows 16. */
const MAX_LABELS = 1000;

/** One record of a pack, as parsed. */
export interface SenmlRecord {
  index: number;
  bytes: Uint8Array;
  json: Record<string, unknown>;
  /** The text of a label's value as written; null when there is none. */
  text(label: string): string | null;
}

/** The base values that count for a record; numbers as their text. */
export interface Base {
  name: string;
  unit: string | null;
  time: string | null;
  value: string | null;
  sum: string | null;
  version: number;
}

export const FIRST_BASE: Base = {
  name: '',
  unit: null,
  time: null,
  value: null,
  sum: null,
  version: VERSION,
};

/** The record that one element of a pack is. Throws RequestError when it cannot be read. */
export function recordOf({ index, fault, json, bytes }: ParsedEvent): SenmlRecord {
  if (fault !== null) throw new RequestError(fault.code, `record ${index}: ${fault.detail}`);
  if (!isObject(json)) throw badPack(`record ${index} is not an object`);
  // All texts are found in one pass: a record may have many labels.
  const spans = new Map<string, Span>();
  eachMember(bytes, { start: 0, end: bytes.length }, (start, nameEnd, value) => {
    spans.set(nameText(bytes, start, nameEnd), value);
    if (spans.size > MAX_LABELS) throw badPack(`record ${index} has more than ${MAX_LABELS} labels`);
  });
  const text = (label: string) => {
    const span = spans.get(label);
    return span === undefined ? null : textOf(bytes, span.start, span.end);
  };
  return { index, bytes, json, text };
}

/** The base values from this record on. Throws RequestError when one is wrong: all records after it would be unreadable. */
export function baseFrom(record: SenmlRecord, before: Base, limit: number): Base {
  const { index, json } = record;
  for (const label of Object.keys(json)) {
    if (label.endsWith('_')) throw badPack(`record ${index} has a label that ends in _ and is not known`);
  }
  const text = (label: string, old: string): string => {
    const value = json[label];
    if (value === undefined) return old;
    if (typeof value === 'string' && unusable(value, limit) === null) return value;
    throw badPack(`record ${index}: ${label} must be text of at most ${limit} characters`);
  };
  const number = (label: string, old: string | null): string | null => {
    if (json[label] === undefined) return old;
    const found = numberAt(record, label);
    if (found !== null && parseDecimal(found) !== null) return found;
    throw badPack(`record ${index}: ${label} must be a number that can be counted with`);
  };
  const base = {
    name: text('bn', before.name),
    unit: text('bu', before.unit ?? '') || null,
    time: number('bt', before.time),
    value: number('bv', before.value),
    sum: number('bs', before.sum),
  };
  return { ...base, version: versionOf(json.bver ?? before.version, index, before.version) };
}

function versionOf(version: unknown, index: number, before: number): number {
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1)
    throw badPack(`record ${index}: bver must be a positive integer`);
  if (version > VERSION) throw badPack(`record ${index}: bver is over ${VERSION}, the version known`);
  if (index > 0 && version !== before) throw badPack('all records of a pack must have one version');
  return version;
}

/** Text of the number at a label; null when it is something else. */
export function numberAt({ json, text }: SenmlRecord, label: string): string | null {
  return typeof json[label] === 'number' ? text(label) : null;
}

export function badPack(detail: string): RequestError {
  return new RequestError('bad_senml', detail);
}
