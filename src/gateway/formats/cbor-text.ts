import { type Token, Tokenizer } from 'cborg';
import type { Limits } from '../../config/gateway/types.ts';
import { RequestError } from '../../core/errors.ts';
import type { EventError } from '../../core/event.ts';
import { fragment } from '../../json/pointer.ts';
import { integerText, leastLength, MAX_BIGNUM, notCbor, scalarText, stringOf } from './cbor-scalar.ts';

/** One event's CBOR: where it is in the body, and the same as JSON text. */
export interface CborItem {
  start: number;
  end: number;
  /** Cut short when there are faults. */
  text: string;
  values: number;
  /** Why it can't be JSON. */
  faults: EventError[];
}

const OPTIONS = { strict: false, allowBigInt: true, allowIndefinite: true, retainStringBytes: true };

/** The items of a body; they are read one by one. */
export interface CborItems {
  /** Whether they are the elements of an array. */
  array: boolean;
  items: Iterable<CborItem>;
}

/**
 * Reads one CBOR item (RFC 8949), or the elements of an array, as JSON text: integers of any size and decimal
 * fractions exactly, byte strings as base64url, integer keys as text or by their name in `labels`.
 * Lengths that the body only announces take no memory. It and its items throw RequestError `not_cbor`, `too_deep`,
 * `too_many_values`, `batch_too_large`, `body_too_large`.
 */
export function readCbor(
  bytes: Uint8Array,
  limits: Limits,
  labels: ReadonlyMap<number, string> | null = null,
): CborItems {
  const reader = new Reader(bytes, limits, labels);
  const token = reader.first();
  const array = token.type.name === 'array';
  return { array, items: itemsOf(reader, token, array, limits, bytes.length) };
}

function* itemsOf(
  reader: Reader,
  token: Token,
  array: boolean,
  { batch }: Limits,
  end: number,
): Iterable<CborItem> {
  if (!array) yield reader.item(token, 0);
  else {
    for (let i = 0; i < token.value; i++) {
      const start = reader.at;
      const next = reader.next();
      if (next.type.name === 'break' && token.value === Number.POSITIVE_INFINITY) break;
      if (i === batch) throw new RequestError('batch_too_large', `more than ${batch} events in one request`);
      yield reader.item(next, start);
    }
  }
  if (reader.at < end) throw notCbor('something follows the first item');
}

class Reader {
  readonly #tokens: Tokenizer;
  readonly #limits: Limits;
  readonly #labels: ReadonlyMap<number, string> | null;
  /** Characters that may still be written for all items together, and for this one. */
  #roomOfAll: number;
  #room = 0;
  /** Values that this item may still hold. */
  #values = 0;
  #parts: string[] = [];
  #faults: EventError[] = [];
  readonly #path: string[] = [];

  constructor(bytes: Uint8Array, limits: Limits, labels: ReadonlyMap<number, string> | null) {
    this.#tokens = new Tokenizer(bytes, OPTIONS);
    this.#limits = limits;
    this.#labels = labels;
    this.#roomOfAll = limits.decompressed;
  }

  get at(): number {
    return this.#tokens.pos();
  }

  next(): Token {
    if (this.#tokens.done()) throw notCbor('it is cut short');
    try {
      return this.#tokens.next();
    } catch (error) {
      throw notCbor((error as Error).message.replace(/^CBOR decode error: /, ''));
    }
  }

  /** The first token that is no tag, such as the one that marks a file as CBOR. */
  first(): Token {
    this.#values = this.#limits.values;
    let token = this.next();
    while (token.type.name === 'tag' && token.value === 55799) {
      this.#count();
      token = this.next();
    }
    return token;
  }

  item(token: Token, start: number): CborItem {
    this.#parts = [];
    this.#faults = [];
    this.#room = this.#limits.event;
    this.#values = this.#limits.values;
    this.#write(token, 0);
    const values = this.#limits.values - this.#values;
    return { start, end: this.at, text: this.#parts.join(''), values, faults: this.#faults };
  }

  /** Tags count too: a chain of them is work. */
  #count(): void {
    // As with `too_deep`.
    if (--this.#values < 0)
      throw new RequestError('too_many_values', `an event has more than ${this.#limits.values} values`);
  }

  #put(text: string): void {
    if (this.#take(text.length)) this.#parts.push(text);
  }

  /** Whether so many characters of this item still fit; of one that is too large nothing more is written. */
  #take(length: number): boolean {
    if (this.#room < 0) return false;
    this.#roomOfAll -= length;
    if (this.#roomOfAll < 0) {
      const limit = this.#limits.decompressed;
      throw new RequestError('body_too_large', `body has more than ${limit} characters as JSON`);
    }
    this.#room -= length;
    if (this.#room >= 0) return true;
    const detail = `event has more than ${this.#limits.event} characters as JSON; that is the limit`;
    this.#faults.push({ code: 'event_too_large', detail });
    return false;
  }

  #fault(detail: string): void {
    if (this.#faults.length < 20)
      this.#faults.push({
        code: 'not_cbor',
        pointer: fragment(
          this.#path.map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
        ),
        detail,
      });
  }

  #write(token: Token, depth: number): void {
    const { type, value } = token;
    this.#count();
    if (type.name === 'array') this.#array(value, this.#deeper(depth));
    else if (type.name === 'map') this.#map(value, this.#deeper(depth));
    else if (type.name === 'tag') this.#tagged(value, depth);
    // To write out what does not fit would be work for nothing.
    else if (leastLength(token) > this.#room) this.#take(leastLength(token));
    else {
      const text = scalarText(token);
      if (text === null) this.#fault('NaN, Infinity and undefined have no JSON form');
      else this.#put(text);
    }
  }

  #deeper(depth: number): number {
    // Not skipped as in JSON: without its end nothing tells where the next event begins.
    if (depth < this.#limits.depth) return depth + 1;
    throw new RequestError('too_deep', `body nests too deeply; the limit is ${this.#limits.depth} an event`);
  }

  #array(length: number, depth: number): void {
    this.#put('[');
    for (let i = 0; i < length; i++) {
      const token = this.next();
      if (token.type.name === 'break' && length === Number.POSITIVE_INFINITY) break;
      if (i > 0) this.#put(',');
      this.#path.push(String(i));
      this.#write(token, depth);
      this.#path.pop();
    }
    this.#put(']');
  }

  #map(length: number, depth: number): void {
    const names = new Set<string>();
    this.#put('{');
    for (let i = 0; i < length; i++) {
      const key = this.next();
      if (key.type.name === 'break' && length === Number.POSITIVE_INFINITY) break;
      const name = this.#name(key, depth);
      this.#path.push(name);
      if (names.has(name)) this.#fault('is there twice');
      names.add(name);
      this.#put(`${i > 0 ? ',' : ''}${JSON.stringify(name)}:`);
      this.#write(this.next(), depth);
      this.#path.pop();
    }
    this.#put('}');
  }

  #name(key: Token, depth: number): string {
    if (key.type.name === 'string') return stringOf(key);
    if (key.type.name === 'uint' || key.type.name === 'negint')
      return (depth === 1 && this.#labels?.get(key.value)) || String(key.value);
    if (!key.type.terminal || key.type.name === 'break')
      throw notCbor('a key of a map must be text or an integer');
    this.#fault('has a key that is neither text nor an integer');
    return '';
  }

  /** Big integers and decimal fractions are numbers; of all other tags the content counts (RFC 8949 6.1). */
  #tagged(first: number, depth: number): void {
    let tag = first;
    let content = this.next();
    while (content.type.name === 'tag' && !(tag >= 2 && tag <= 4)) {
      this.#count();
      tag = content.value;
      content = this.next();
    }
    if (tag === 2 || tag === 3) {
      const number = this.#integer(content, tag);
      if (number !== null) this.#put(number);
    } else if (tag === 4) {
      if (content.type.name !== 'array' || content.value !== 2)
        throw notCbor('a decimal fraction must be an array of two');
      const exponent = this.#integer(this.next(), null);
      const mantissa = this.next();
      const digits =
        mantissa.type.name === 'tag'
          ? this.#integer(this.next(), mantissa.value)
          : this.#integer(mantissa, null);
      if (exponent !== null && digits !== null) this.#put(`${digits}e${exponent}`);
    } else this.#write(content, depth);
  }

  #integer(token: Token, tag: number | null): string | null {
    if (this.#room < 0 && tag !== null && token.type.name === 'bytes') return null;
    const text = integerText(token, tag);
    if (text === null) this.#fault(`integer has more than ${MAX_BIGNUM} bytes; that is the limit`);
    return text;
  }
}
