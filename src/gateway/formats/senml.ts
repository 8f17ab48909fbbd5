import { RequestError } from '../../core/errors.ts';
import { type DecodedEvent, type EventError, eventError } from '../../core/event.ts';
import { parseJson } from '../../json/parse.ts';
import { fragment, makePointer } from '../../json/pointer.ts';
import { skipSpace, textOf } from '../../json/scan.ts';
import { errorsIn, fieldText, refusedEvent, sizeFault } from './event.ts';
import { plainEvent, usableKey } from './fields.ts';
import { cutArray, decodeElements } from './json.ts';
import {
  type Base,
  badPack,
  baseFrom,
  FIRST_BASE,
  numberAt,
  recordOf,
  type SenmlRecord,
  VERSION,
} from './senml-record.ts';
import { absolute, added, type Time } from './senml-time.ts';
import type { DecodeContext, Decoding, Source } from './source.ts';

const BASE = new Set(['bn', 'bt', 'bu', 'bv', 'bs', 'bver']);
const VALUES = ['v', 'vs', 'vb', 'vd'];
const OWN = new Set(['n', 'u', ...VALUES, 's', 't', 'ut']);
const NAME = /^[A-Za-z0-9][A-Za-z0-9:./_-]*$/;
const BASE64_URL = /^[A-Za-z0-9_-]*$/;

/**
 * A SenML pack (RFC 8428): one event per record, in time order. An event's data is the record resolved
 * (section 4.6); numbers stay as they were written unless a base value is added, then they are exact sums.
 * `sent` is the body that ids are made from when the pack has no absolute times. Throws RequestError
 * `bad_senml` when the pack as a whole is wrong.
 */
export function* decodeSenml(bytes: Uint8Array, context: DecodeContext, sent = bytes): Decoding {
  const start = skipSpace(bytes, 0, bytes.length);
  if (start === bytes.length) throw new RequestError('empty_body', 'send a SenML pack');
  if (bytes[start] !== 0x5b) throw badPack('a pack must be a JSON array of records');
  const spans = cutArray(bytes, start, context);
  if (spans.length === 0) throw badPack('a pack must have at least one record');
  const pack = { context, source: sourceFor(context.source), sent, soleEvent: spans.length === 1 };
  const records: { resolved: Resolved; time: number }[] = [];
  let base = FIRST_BASE;
  let time = Number.NEGATIVE_INFINITY;
  for (const record of decodeElements(bytes, spans, context, recordOf)) {
    base = baseFrom(record, base, context.limits.id);
    const resolved = resolve(record, base, context.receivedAt);
    time = resolved.time?.seconds ?? time;
    records.push({ resolved, time });
    yield null;
  }
  records.sort((a, b) => a.time - b.time || a.resolved.index - b.resolved.index);
  // Parsed only now, so that no more than one is in memory as a value.
  for (const { resolved } of records) yield eventOf(resolved, pack);
}

interface Pack {
  context: DecodeContext;
  source: Source;
  sent: Uint8Array;
  soleEvent: boolean;
}

function sourceFor(source: Source): Source {
  return {
    ...source,
    type: source.config.type === null ? 'senml.measurement' : source.type,
    subject: source.subject ?? makePointer('/n'),
    time: null,
  };
}

/** A record with its base values applied (RFC 8428 section 4.6). */
interface Resolved {
  index: number;
  /** JSON; of a record with errors the bytes as sent. */
  bytes: Uint8Array;
  name: string;
  /** The base name; empty when there is none. */
  device: string;
  /** Null when it has no time that can be used. */
  time: Time | null;
  errors: EventError[];
}

function resolve(record: SenmlRecord, base: Base, receivedAt: string): Resolved {
  const { index, json } = record;
  const errors: EventError[] = [];
  const members: string[] = base.version === VERSION ? [] : [`"bver":${base.version}`];
  const add = (label: string, text: string) => members.push(`${JSON.stringify(label)}:${text}`);
  const wrong = (label: string, detail: string) =>
    errors.push(eventError('bad_senml', detail, fragment(`/${label}`)));
  const sum = (label: string, start: string | null): string | null => {
    const own = json[label] === undefined ? '0' : numberAt(record, label);
    const total = own === null ? null : start === null ? own : added(start, own);
    if (total === null)
      wrong(label, own === null ? 'must be a number' : 'is too long to be added to its base value');
    return total;
  };

  const own = json.n ?? '';
  const name = typeof own === 'string' ? base.name + own : '';
  if (!NAME.test(name))
    wrong('n', 'must make a name of letters, digits and -:./_ that begins with a letter or digit');
  else add('n', JSON.stringify(name));
  const unit = json.u ?? base.unit;
  if (typeof unit === 'string') add('u', JSON.stringify(unit));
  else if (unit !== null) wrong('u', 'must be a string');

  const given = VALUES.filter((label) => json[label] !== undefined);
  if (given.length > 1) wrong(given[1]!, 'is a second value; a record has one');
  else if (given.length === 0 && json.s === undefined) wrong('v', 'is missing, and so are vs, vb, vd and s');
  else if (given[0] === 'v') add('v', sum('v', base.value) ?? '0');
  else if (given.length === 1) {
    const problem = valueProblem(given[0]!, json[given[0]!]);
    if (problem === null) add(given[0]!, JSON.stringify(json[given[0]!]));
    else wrong(given[0]!, problem);
  }
  if (json.s !== undefined) add('s', sum('s', base.sum) ?? '0');

  const offset = sum('t', base.time);
  const time = offset === null ? null : absolute(offset, receivedAt);
  if (time === null && offset !== null) wrong('t', 'must be a time of the years 1 to 9999');
  if (time !== null) add('t', time.text);
  if (json.ut !== undefined) add('ut', sum('ut', null) ?? '0');
  for (const label of Object.keys(json)) {
    if (!OWN.has(label) && !BASE.has(label)) add(label, record.text(label)!);
  }
  const bytes = errors.length > 0 ? record.bytes : new TextEncoder().encode(`{${members.join(',')}}`);
  return { index, bytes, name, device: base.name, time, errors };
}

function eventOf({ index, bytes, name, device, time, errors }: Resolved, pack: Pack): DecodedEvent {
  const { source, sent, soleEvent } = pack;
  const { idempotencyKey, limits, digests, trace } = pack.context;
  const at = { index, line: null };
  const fault = sizeFault(bytes.length, pack.context);
  if (errors.length > 0 || time === null || fault !== null)
    return refusedEvent(at, bytes, fault === null ? errors : [fault], {
      ...trace,
      'content-type': 'application/json',
    });
  const parsed = { ...at, soleEvent, bytes, json: parseJson(textOf(bytes)), fault };
  const context = { ...pack.context, source, receivedAt: time.date };
  let decoded: DecodedEvent;
  if (idempotencyKey !== null || Array.isArray(source.id)) decoded = plainEvent(parsed, context);
  else {
    // The value counts too: a coarse clock gives two readings one time.
    const id = time.relative
      ? `${digests.sha256(sent)}/${index}`
      : `${name}:${time.text}:${digests.sha256(bytes).slice(0, 16)}`;
    decoded = plainEvent({ ...parsed, soleEvent: true }, { ...context, idempotencyKey: id });
  }
  const { event } = decoded;
  if (source.key !== null || event.errors.length > 0) return decoded;
  const key = usableKey(device.replace(/[:./_-]+$/, '') || name, limits.key, '/n');
  return { ...decoded, event: { ...event, key: fieldText(key), errors: errorsIn(key) } };
}

function valueProblem(label: string, value: unknown): string | null {
  if (label === 'vb') return typeof value === 'boolean' ? null : 'must be true or false';
  if (typeof value !== 'string') return 'must be a string';
  if (label === 'vd' && (!BASE64_URL.test(value) || value.length % 4 === 1))
    return 'must be base64url without padding';
  return null;
}
