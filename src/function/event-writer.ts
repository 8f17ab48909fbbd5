import { isUtf8 } from 'node:buffer';
import {
  asBuffer,
  attributeIn,
  type CloudEvent,
  cloudEvent,
  contentTypeOf,
  isJsonType,
  isStructured,
} from '../cloudevents/record.ts';
import { isJson } from '../json/is-json.ts';
import type { StoredRecord } from '../ports/event-log.ts';

/** Source and id, which identify an event. */
export interface Identity {
  source: string;
  id: string;
}

/** A header of the record before: most are the same bytes in all records of a batch. */
interface KnownHeader {
  header: string;
  bytes: Uint8Array | null;
  /** The attribute in it; null for none. */
  name: string | null;
  text: string;
  /** The member of the event, with a comma; empty for none. */
  json: string;
}

/** The content type of the record before. */
interface KnownType {
  bytes: Uint8Array | undefined;
  text: string | null;
  json: string;
  claimsJson: boolean;
  isStructured: boolean;
}

/** Bytes: enough for the attributes of most events. */
const ATTRIBUTE_BYTES = 320;
const NEED_NO_ESCAPE = /^[ !#-[\]-~]*$/;
const NO_TYPE: KnownType = { bytes: undefined, text: null, json: '', claimsJson: true, isStructured: false };

/**
 * Writes events in the JSON event format (CloudEvents, section 3) one after the other, with JSON data byte for byte,
 * so that no number changes.
 */
export class EventWriter {
  #bytes: Buffer;
  #at = 0;
  /** Text that is not in `#bytes` yet. */
  #text = '';
  /** By index in the record. */
  readonly #known: KnownHeader[] = [];
  #type = NO_TYPE;

  /** With room for these records. */
  constructor(records: readonly StoredRecord[]) {
    const size = records.reduce((sum, { value }) => sum + ATTRIBUTE_BYTES + (value?.length ?? 0), 0);
    this.#bytes = Buffer.allocUnsafe(size);
  }

  /** Writes a text, such as the comma between events. */
  push(text: string): void {
    this.#text += text;
  }

  /** Writes an event. */
  add(record: StoredRecord): Identity {
    return this.#addBinary(record) ?? this.#addAny(record, cloudEvent(record));
  }

  /** All that was written. */
  end(): Uint8Array {
    this.#flush();
    return this.#bytes.subarray(0, this.#at);
  }

  /** Writes an event in binary mode that has all required attributes; null, and nothing written, for any other. */
  #addBinary(record: StoredRecord): Identity | null {
    const type = this.#typeOf(record);
    if (type.isStructured) return null;
    let version = '';
    let text = '';
    let id = '';
    let source = '';
    let isTyped = false;
    let index = 0;
    for (const header in record.headers) {
      const known = this.#read(index++, header, record.headers[header]!);
      if (known.name === 'specversion') version = known.json;
      else text += known.json;
      if (known.name === 'id') id = known.text;
      else if (known.name === 'source') source = known.text;
      else if (known.name === 'type') isTyped = known.text !== '';
    }
    if (id === '' || source === '' || !isTyped || version === '') return null;
    this.#text += `{${version}${text}`;
    this.#addData(record.value, type);
    return { source, id };
  }

  #addAny(record: StoredRecord, event: CloudEvent): Identity {
    const { attributes, contentType, data } = event;
    // In structured mode the record's value is the whole event.
    if (data !== record.value) this.#copy(record.value!);
    else {
      this.#text += '{';
      for (const name in attributes) this.#text += memberOf(name, attributes[name]!);
      this.#addData(data, makeType(undefined, contentType));
    }
    return { source: attributes.source!, id: attributes.id! };
  }

  /** Ends an event with its data. */
  #addData(data: Uint8Array | null, { text, json, claimsJson }: KnownType): void {
    this.#text += json;
    if (data === null) this.#text = `${this.#text.slice(0, -1)}}`;
    // A record that only claims to be JSON would spoil its whole batch.
    else if (claimsJson && isJson(data)) {
      this.#text += '"data":';
      this.#copy(data);
      this.#text = '}';
    } else if (!claimsJson && text!.toLowerCase().startsWith('text/') && isUtf8(data)) {
      this.#text += `"data":${JSON.stringify(asBuffer(data).toString('utf8'))}}`;
    } else this.#text += `"data_base64":"${asBuffer(data).toString('base64')}"}`;
  }

  #read(index: number, header: string, bytes: Uint8Array): KnownHeader {
    let known = this.#known[index];
    if (known?.header !== header) {
      known = { header, bytes: null, name: attributeIn(header), text: '', json: '' };
      this.#known[index] = known;
    }
    if (known.bytes !== bytes) {
      known.bytes = bytes;
      if (known.name !== null) {
        known.text = asBuffer(bytes).toString('utf8');
        known.json = memberOf(known.name, known.text);
      }
    }
    return known;
  }

  #typeOf(record: StoredRecord): KnownType {
    const bytes = record.headers['content-type'] ?? record.headers.ce_datacontenttype;
    if (this.#type.bytes !== bytes) this.#type = makeType(bytes, contentTypeOf(record));
    return this.#type;
  }

  #copy(bytes: Uint8Array): void {
    this.#flush(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Moves `#text` into `#bytes`, with room for `more` bytes after it. */
  #flush(more = 0): void {
    // Counted only when it might not fit: a UTF-16 unit takes at most 3 bytes.
    if (this.#at + 3 * this.#text.length + more > this.#bytes.length) {
      this.#grow(this.#at + Buffer.byteLength(this.#text) + more);
    }
    this.#at += this.#bytes.write(this.#text, this.#at);
    this.#text = '';
  }

  #grow(needed: number): void {
    if (needed <= this.#bytes.length) return;
    const bytes = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length));
    bytes.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = bytes;
  }
}

function makeType(bytes: Uint8Array | undefined, text: string | null): KnownType {
  return {
    bytes,
    text,
    json: text === null ? '' : memberOf('datacontenttype', text),
    claimsJson: text === null || isJsonType(text),
    isStructured: isStructured(text),
  };
}

function memberOf(name: string, text: string): string {
  return NEED_NO_ESCAPE.test(text) ? `"${name}":"${text}",` : `"${name}":${JSON.stringify(text)},`;
}
