import { hash } from 'node:crypto';
import { cloudEvent, headerText } from '../cloudevents/record.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { EventWriter, type Identity } from './event-writer.ts';

/** The part of a request that depends on the events: `headers` are name, value, name, value. */
export interface Message {
  headers: string[];
  body: Uint8Array | null;
  /** Identifies the events in it: the same text on every attempt. */
  identity: string;
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]*)?$/;
const TRACESTATE = /^[ -~]{1,512}$/;
const SAFE = /^[!#$&-~]*$/;
const MAX_KEY = 255;

/** A header value by the CloudEvents HTTP binding (section 3.1.3.2): percent-encoded where it must be. */
export function headerValue(text: string): string {
  if (SAFE.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** One event in binary mode: attributes in headers, the data as it is. */
export function binaryMessage(record: StoredRecord, subscription: string): Message {
  const event = cloudEvent(record);
  const headers: string[] = [];
  for (const name in event.attributes) headers.push(`ce-${name}`, headerValue(event.attributes[name]!));
  if (event.contentType !== null) headers.push('content-type', event.contentType);
  pushTrace(headers, record);
  const { source, id } = event.attributes;
  const identity = identityOf({ source: source!, id: id! }, subscription);
  headers.push('idempotency-key', idempotencyKey(identity));
  return { headers, body: event.data, identity };
}

/** One event in structured mode. */
export function structuredMessage(record: StoredRecord, subscription: string): Message {
  const headers = ['content-type', 'application/cloudevents+json; charset=utf-8'];
  pushTrace(headers, record);
  const writer = new EventWriter([record]);
  const identity = identityOf(writer.add(record), subscription);
  headers.push('idempotency-key', idempotencyKey(identity));
  return { headers, body: writer.end(), identity };
}

/** Events as a CloudEvents batch. */
export function batchMessage(records: readonly StoredRecord[], subscription: string): Message {
  const headers = ['content-type', 'application/cloudevents-batch+json; charset=utf-8'];
  const writer = new EventWriter(records);
  const keys: string[] = [];
  for (const record of records) {
    writer.push(keys.length === 0 ? '[' : ',');
    keys.push(identityOf(writer.add(record), subscription));
  }
  writer.push(']');
  if (records.length === 1) pushTrace(headers, records[0]!);
  const identity = JSON.stringify(keys);
  headers.push('idempotency-key', `"${hash('sha256', identity, 'base64url')}"`);
  return { headers, body: writer.end(), identity };
}

/**
 * The same on every attempt. It has the source, because ids are unique only per source. Without a subscription (a step of
 * a workflow) the id is enough: it is that of one call.
 */
function identityOf({ source, id }: Identity, subscription: string): string {
  if (subscription === '') return headerValue(id);
  return `${subscription}:${headerValue(source)}:${headerValue(id)}`;
}

/** A structured-field string (RFC 8941), as the Idempotency-Key draft demands. */
function idempotencyKey(text: string): string {
  if (text.length > MAX_KEY) return `"${hash('sha256', text, 'base64url')}"`;
  return `"${text.includes('\\') ? text.replaceAll('\\', '\\\\') : text}"`;
}

function pushTrace(headers: string[], record: StoredRecord): void {
  const parent = headerText(record, 'traceparent');
  if (parent === null || !TRACEPARENT.test(parent)) return;
  headers.push('traceparent', parent);
  const state = headerText(record, 'tracestate');
  if (state !== null && TRACESTATE.test(state)) headers.push('tracestate', state);
}
