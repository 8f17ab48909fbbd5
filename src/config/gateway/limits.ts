import { formatSize } from '../../core/units.ts';
import type { Findings } from '../text/findings.ts';
import type { Reader } from '../values/reader.ts';
import type { GatewayDocument } from './shape.ts';
import type { Limits } from './types.ts';

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

/** Bytes of memory of each event besides its payload: ids, attributes, its entry in the commit group. */
export const EVENT_COST = 768;
/** Bytes that each value of an event counts as. It takes time to parse, and memory for a moment. */
export const VALUE_COST = 8;

/** Reads the limits, in bytes and milliseconds, and works out those that are not given. */
export function readLimits(raw: GatewayDocument['limits'], { size, time }: Reader): Limits {
  const bytes = (name: Size, max: number, standard = 0) => {
    const text = raw[name];
    return text === undefined ? standard : size(['gateway', 'limits', name], text, max);
  };
  const body = bytes('body', MAX_SIZE);
  const decompressed = bytes('decompressed', MAX_SIZE);
  const buffered = bytes('buffered', 2 ** 40);
  // A request may hold its body as sent, the inflated body, and for Segment another text to store.
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

/** Checks that no limit contradicts another. */
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
    // Limits that the text does not give follow from the others.
    if (!findings.written(['gateway', 'limits', name])) continue;
    atMost(name, 'buffered');
    atLeast(name, name === 'unauthenticated' ? 'body' : 'decompressed');
  }
}
