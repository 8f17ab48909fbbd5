import { isObject } from './parse.ts';
import { eachMember, nameText, type Span } from './scan.ts';

/**
 * Gives JSON objects further members, or members other values, in their bytes: everything else of them stays
 * as it was written, with its order, white space, escapes and big numbers.
 */

interface Member {
  name: string;
  /** Where its name begins. */
  start: number;
  value: Span;
}

/** The members of the object that the bytes are, in their order. Throws as `eachMember` and `nameText` do. */
function membersOf(bytes: Uint8Array): Member[] {
  const members: Member[] = [];
  eachMember(bytes, { start: 0, end: bytes.length }, (start, nameEnd, value) =>
    members.push({ name: nameText(bytes, start, nameEnd), start, value }),
  );
  return members;
}

/** An object whose members other objects get where they lack them. */
export interface FieldDefaults {
  json: Record<string, unknown>;
  bytes: Uint8Array;
  /** Each as name and value in bytes; of a name that comes twice the last, as in JSON.parse. */
  members: Map<string, Uint8Array>;
}

/** `bytes` are the object and nothing else; `json` is the same parsed. */
export function fieldDefaults(bytes: Uint8Array, json: Record<string, unknown>): FieldDefaults {
  const members = new Map<string, Uint8Array>();
  for (const { name, start, value } of membersOf(bytes)) members.set(name, bytes.subarray(start, value.end));
  return { json, bytes, members };
}

type Part = Uint8Array | string;

interface Patch {
  /** The bytes that are replaced. */
  start: number;
  end: number;
  parts: Part[];
}

const encoder = new TextEncoder();

/** One object while it is changed: its bytes and its parsed form stay equal. A member may be changed once. */
export class JsonMerge {
  readonly json: Record<string, unknown>;
  readonly #bytes: Uint8Array;
  /** The place of each member. When a name comes twice, the last one counts. */
  readonly #places = new Map<string, Span>();
  readonly #members: Member[];
  readonly #patches: Patch[] = [];
  readonly #added: Part[] = [];

  /** `bytes` are valid JSON, one object and nothing else; `json` is the same parsed, and is changed too. */
  constructor(bytes: Uint8Array, json: Record<string, unknown>) {
    this.json = json;
    this.#bytes = bytes;
    this.#members = membersOf(bytes);
    for (const { name, value } of this.#members) this.#places.set(name, value);
  }

  /** The bytes of a member's value as sent; null when there is none. */
  sent(name: string): Uint8Array | null {
    const place = this.#places.get(name);
    return place === undefined ? null : this.#bytes.subarray(place.start, place.end);
  }

  /** Takes out a member, however often it is there. */
  drop(name: string): void {
    if (!this.#places.delete(name)) return;
    delete this.json[name];
    for (const cut of cutsOf(this.#members, name)) this.#patches.push({ ...cut, parts: [] });
  }

  /** Gives a member its value. `json`: the same as JSON, when that is there already. */
  set(name: string, value: unknown, json: Part = JSON.stringify(value)): void {
    const place = this.#places.get(name);
    if (place !== undefined) this.#patches.push({ start: place.start, end: place.end, parts: [json] });
    else
      this.#added.push(
        `${this.#added.length + this.#places.size === 0 ? '' : ','}${JSON.stringify(name)}:`,
        json,
      );
    put(this.json, name, value);
  }

  /**
   * Gives a member that is an object the members of `defaults` that it lacks; one level deep. An absent or null member
   * becomes a copy of them. A member that is no object stays as it is.
   */
  addDefaults(name: string, defaults: FieldDefaults): void {
    if (defaults.members.size === 0) return;
    const own = Object.hasOwn(this.json, name) ? this.json[name] : null;
    if (own === null) this.set(name, defaults.json, defaults.bytes);
    if (!isObject(own)) return;
    const parts: Part[] = [];
    let empty = Object.keys(own).length === 0;
    for (const [key, bytes] of defaults.members) {
      if (Object.hasOwn(own, key)) continue;
      if (!empty) parts.push(',');
      parts.push(bytes);
      put(own, key, defaults.json[key]);
      empty = false;
    }
    const brace = this.#places.get(name)!.end - 1;
    if (parts.length > 0) this.#patches.push({ start: brace, end: brace, parts });
  }

  /** The object as it is now. */
  bytes(): Uint8Array {
    const end = this.#bytes.length - 1;
    if (this.#added.length > 0) this.#patches.push({ start: end, end, parts: this.#added });
    this.#patches.sort((a, b) => a.start - b.start);
    const pieces: Uint8Array[] = [];
    let at = 0;
    for (const patch of this.#patches) {
      pieces.push(this.#bytes.subarray(at, patch.start));
      let text = '';
      for (const part of patch.parts) {
        if (typeof part === 'string') {
          text += part;
          continue;
        }
        if (text !== '') pieces.push(encoder.encode(text));
        text = '';
        pieces.push(part);
      }
      if (text !== '') pieces.push(encoder.encode(text));
      at = patch.end;
    }
    pieces.push(this.#bytes.subarray(at));
    return joined(pieces);
  }
}

/** The object that the bytes are without a member, however often it is there. Throws as `eachMember` and `nameText` do. */
export function withoutMember(bytes: Uint8Array, name: string): Uint8Array {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const { start, end } of cutsOf(membersOf(bytes), name)) {
    pieces.push(bytes.subarray(at, start));
    at = end;
  }
  return at === 0 ? bytes : joined([...pieces, bytes.subarray(at)]);
}

/** The spans to take out, so that commas still part the other members. */
function cutsOf(members: Member[], name: string): { start: number; end: number }[] {
  const cuts: { start: number; end: number }[] = [];
  for (let i = 0; i < members.length; i++) {
    if (members[i]!.name !== name) continue;
    const first = i;
    while (i + 1 < members.length && members[i + 1]!.name === name) i++;
    const next = members[i + 1];
    if (next !== undefined) cuts.push({ start: members[first]!.start, end: next.start });
    // Of the last ones the comma before goes, too.
    else
      cuts.push({
        start: members[first - 1]?.value.end ?? members[first]!.start,
        end: members[i]!.value.end,
      });
  }
  return cuts;
}

/** An assignment to `__proto__` would change the object's prototype instead. */
function put(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') object[name] = value;
  else Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

function joined(pieces: Uint8Array[]): Uint8Array {
  let size = 0;
  for (const piece of pieces) size += piece.length;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
