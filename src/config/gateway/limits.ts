import { formatSize } from '../../core/units.ts';
import type { Limits } from '../config.ts';
import type { Reader } from '../resolve.ts';
import type { ConfigDocument } from '../shape.ts';
import type { Findings } from '../text/text.ts';

type Raw = ConfigDocument['gateway']['limits'];
type Size =
  | 'body'
  | 'decompressed'
  | 'event'
  | 'buffered'
  | 'key'
  | 'bodyRate'
  | 'unauthenticated'
  | 'perSource'
  | 'perAddress';

const MAX_SIZE = 2 ** 28;

/** Bytes that each event of a request takes beside its payload: ids, attributes, its place in the commit group. */
export const EVENT_COST = 768;
/** Bytes that each value of an event counts: it takes time to parse, if only for a moment memory. */
export const VALUE_COST = 8;

/** The limits of the document, in bytes and milliseconds. */
export function readLimits(raw: Raw, { size, time }: Reader): Limits {
  const bytes = (name: Size, max: number, standard = 0) => {
    const text = raw[name];
    return text === undefined ? standard : size(['gateway', 'limits', name], text, max);
  };
  const body = bytes('body', MAX_SIZE);
  const decompressed = bytes('decompressed', MAX_SIZE);
  const buffered = bytes('buffered', 2 ** 40);
  // As sent, inflated, and as stored, which is a text of its own for Segment.
  const largest = Math.min(buffered, body + 2 * decompressed + raw.batch * EVENT_COST);
  return {
    ...raw,
    body,
    decompressed,
    event: bytes('event', MAX_SIZE),
    buffered,
    key: bytes('key', 2 ** 16),
    bodyTime: time(['gateway', 'limits', 'bodyTime'], raw.bodyTime),
    bodyRate: bytes('bodyRate', MAX_SIZE),
    headTime: time(['gateway', 'limits', 'headTime'], raw.headTime),
    unauthenticated: bytes('unauthenticated', 2 ** 40, Math.min(buffered, Math.max(buffered / 8, body))),
    perSource: bytes('perSource', 2 ** 40, Math.max(0.75 * buffered, largest)),
    perAddress: bytes('perAddress', 2 ** 40, Math.max(buffered / 2, largest)),
  };
}

/** Checks that each limit leaves room for what the others allow. */
export function checkLimits(limits: Limits, findings: Findings): void {
  const atMost = (name: keyof Limits, other: keyof Limits) => {
    if (limits[name] > limits[other])
      findings.error(
        ['gateway', 'limits', name],
        `is more than limits.${other} (${formatSize(limits[other])})`,
      );
  };
  const atLeast = (name: keyof Limits, other: keyof Limits) => {
    if (limits[name] < limits[other])
      findings.error(
        ['gateway', 'limits', name],
        `is less than limits.${other} (${formatSize(limits[other])})`,
      );
  };
  atMost('event', 'decompressed');
  atMost('decompressed', 'buffered');
  atLeast('decompressed', 'body');
  for (const name of ['unauthenticated', 'perSource', 'perAddress'] as const) {
    // What is not written follows from the others.
    if (!findings.written(['gateway', 'limits', name])) continue;
    atMost(name, 'buffered');
    atLeast(name, name === 'unauthenticated' ? 'body' : 'decompressed');
  }
}
