import { RequestError } from '../../core/errors.ts';
import type { DecodedEvent } from '../../core/event.ts';
import { unusable } from '../../core/header-text.ts';
import { parseJson } from '../../json/parse.ts';
import { fragment } from '../../json/pointer.ts';
import { type Span, skipSpace, textOf } from '../../json/scan.ts';
import { eachMember } from '../../json/splice.ts';
import { parseDecimal } from './decimal.ts';
import { fillPlain } from './fields.ts';
import { cutArray, elements, sizeFits } from './json.ts';
import { absolute, added, type Time } from './senml-time.ts';
import { type DecodeContext, type Decoding, refuse, type Source } from './source.ts';

const VERSION = 10;
const BASE = new Set(['bn', 'bt', 'bu', 'bv', 'bs', 'bver']);
const VALUES = ['v', 'vs', 'vb', 'vd'];
const OWN = new Set(['n', 'u', ...VALUES, 's', 't', 'ut']);
const NAME = /^[A-Za-z0-9][A-Za-z0-9:./_-]*$/;
const BASE64_URL = /^[A-Za-z0-9_-]*$/;
/** Labels of one record; the standard knows 16. */
const MAX_LABELS = 1000;

/** A record as parsed, and the text of each of its values. All are found in one pass: a record may have many labels. */
interface Record {
  json: { [label: string]: unknown };
  /** As written; null when there is none. */
  text(label: string): string | null;
}

/** Base values as they stand; numbers as their text. */
interface Base {
  name: string;
  unit: string | null;
  time: string | null;
  value: string | null;
  sum: string | null;
  version: number;
}

/**
 * A SenML pack (RFC 8428): one event per record, in time order. An event's data is the record resolved
 * (section 4.6); numbers stay as they were written unless a base value is added, then they are exact sums.
 * `sent` is the body that ids are made from when the pack has no absolute times. Throws RequestError
 * `bad_senml` when the pack as a whole is wrong.
 */
export function* decodeSenml(bytes: Uint8Array, context: DecodeContext, sent = bytes): Decoding {
  const start = skipSpace(bytes, 0, bytes.length);
  if (start === bytes.length) throw new RequestError('empty_body', 'send a SenML pack');
  if (bytes[start] !== 0x5b) throw bad('a pack must be a JSON array of records');
  const spans = cutArray(bytes, start, context);
  if (spans.length === 0) throw bad('a pack must have at least one record');
  const pack = { context, source: sourceFor(context.source), sent, only: spans.length === 1 };
  const base: Base = { name: '', unit: null, time: null, value: null, sum: null, version: VERSION };
  const events: { event: DecodedEvent; time: number }[] = [];
  let time = Number.NEGATIVE_INFINITY;
  for (const event of elements(bytes, spans, context, () => {})) {
    const record = recordOf(event);
    readBase(record, event.index, base, context.limits.id);
    time = resolve(event, record, base, pack) ?? time;
    // It is parsed again when its turn comes, so that no more than one is in memory.
    event.json = undefined;
    events.push({ event, time });
    yield null;
  }
  events.sort((a, b) => a.time - b.time || a.event.index - b.event.index);
  for (const { event } of events) {
    if (event.errors.length === 0) event.json = parseJson(textOf(event.data!));
    yield event;
  }
}

interface Pack {
  context: DecodeContext;
  source: Source;
  sent: Uint8Array;
  only: boolean;
}

function sourceFor(source: Source): Source {
  return {
    ...source,
    type: source.config.type === null ? 'senml.measurement' : source.type,
    subject: source.subject ?? { pointer: '/n', tokens: ['n'] },
    time: null,
  };
}

function recordOf({ index, errors, json, data }: DecodedEvent): Record {
  const [error] = errors;
  if (error !== undefined) throw new RequestError(error.code, `record ${index}: ${error.detail}`);
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw bad(`record ${index} is not an object`);
  const bytes = data!;
  const places = new Map<string, Span>();
  for (const { name, value } of eachMember(bytes, { start: 0, end: bytes.length })) {
    places.set(name, value);
    if (places.size > MAX_LABELS) throw bad(`record ${index} has more than ${MAX_LABELS} labels`);
  }
  return {
    json: json as Record['json'],
    text(label) {
      const place = places.get(label);
      return place === undefined ? null : textOf(bytes, place.start, place.end);
    },
  };
}

/** Takes over a record's base fields. Whatever is wrong with one makes all that follows unreadable. */
function readBase(record: Record, index: number, base: Base, limit: number): void {
  const { json } = record;
  for (const label of Object.keys(json)) {
    if (label.endsWith('_')) throw bad(`record ${index} has a label that ends in _ and is not known`);
  }
  const text = (label: string, before: string): string => {
    const value = json[label];
    if (value === undefined) return before;
    if (typeof value === 'string' && unusable(value, limit) === null) return value;
    throw bad(`record ${index}: ${label} must be text of at most ${limit} characters`);
  };
  const number = (label: string, before: string | null): string | null => {
    if (json[label] === undefined) return before;
    const found = numberAt(record, label);
    if (found !== null && parseDecimal(found) !== null) return found;
    throw bad(`record ${index}: ${label} must be a number that can be counted with`);
  };
  base.name = text('bn', base.name);
  base.unit = text('bu', base.unit ?? '') || null;
  base.time = number('bt', base.time);
  base.value = number('bv', base.value);
  base.sum = number('bs', base.sum);
  const version = json.bver ?? base.version;
  if (!Number.isInteger(version) || (version as number) < 1)
    throw bad(`record ${index}: bver must be a positive integer`);
  if ((version as number) > VERSION) throw bad(`record ${index}: bver is over ${VERSION}, the version known`);
  if (index > 0 && version !== base.version) throw bad('all records of a pack must have one version');
  base.version = version as number;
}

/** Makes the event that a record is. Returns its time in s, or null when it was refused before that was known. */
function resolve(event: DecodedEvent, record: Record, base: Base, pack: Pack): number | null {
  const { context } = pack;
  const { json } = record;
  event.headers['content-type'] = 'application/json';
  const members: string[] = base.version === VERSION ? [] : [`"bver":${base.version}`];
  const add = (label: string, text: string) => members.push(`${JSON.stringify(label)}:${text}`);
  const wrong = (label: string, detail: string) => refuse(event, 'bad_senml', detail, fragment(`/${label}`));
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
  const time = offset === null ? null : absolute(offset, context.receivedAt);
  if (time === null && offset !== null) wrong('t', 'must be a time of the years 1 to 9999');
  if (time !== null) add('t', time.text);
  if (json.ut !== undefined) add('ut', sum('ut', null) ?? '0');
  for (const label of Object.keys(json)) {
    if (!OWN.has(label) && !BASE.has(label)) add(label, record.text(label)!);
  }
  if (event.errors.length > 0 || time === null) return time?.seconds ?? null;
  fill(event, `{${members.join(',')}}`, { name, device: base.name, time }, pack);
  return time.seconds;
}

interface Resolved {
  name: string;
  /** The base name; empty when there is none. */
  device: string;
  time: Time;
}

function fill(event: DecodedEvent, text: string, { name, device, time }: Resolved, pack: Pack): void {
  const { source, sent, only } = pack;
  const context = { ...pack.context, source, receivedAt: time.date };
  const { digests } = context;
  event.data = new TextEncoder().encode(text);
  event.json = parseJson(text);
  if (!sizeFits(event, event.data.length, context)) return;
  if (context.idempotencyKey !== null || Array.isArray(source.id)) {
    fillPlain(event, context, only);
  } else {
    // The value counts too: a clock that is coarse gives two readings one time.
    const id = time.relative
      ? `${digests.sha256(sent)}/${event.index}`
      : `${name}:${time.text}:${digests.sha256(event.data).slice(0, 16)}`;
    fillPlain(event, { ...context, idempotencyKey: id }, true);
  }
  if (source.key !== null || event.errors.length > 0) return;
  const key = device.replace(/[:./_-]+$/, '') || name;
  const why = unusable(key, context.limits.key);
  if (why === null) event.key = key;
  else refuse(event, 'key_invalid', why, '#/n');
}

function valueProblem(label: string, value: unknown): string | null {
  if (label === 'vb') return typeof value === 'boolean' ? null : 'must be true or false';
  if (typeof value !== 'string') return 'must be a string';
  if (label === 'vd' && (!BASE64_URL.test(value) || value.length % 4 === 1))
    return 'must be base64url without padding';
  return null;
}

/** Text of the number at a label; null when it is something else. */
function numberAt({ json, text }: Record, label: string): string | null {
  return typeof json[label] === 'number' ? text(label) : null;
}

function bad(detail: string): RequestError {
  return new RequestError('bad_senml', detail);
}
