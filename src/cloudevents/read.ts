import { fromBase64 } from '../core/encoding.ts';
import { type EventError, eventError } from '../core/event.ts';
import { unusable } from '../core/header-text.ts';
import { locate } from '../json/pointer.ts';
import { type Attributes, checkAttributes, headerAttributes, type ReadRules } from './attributes.ts';
import { isEventType, isJsonType } from './content-type.ts';

/** An event that was sent by the HTTP binding (section 3). */
export interface ReceivedEvent {
  /** As they were sent. */
  attributes: Attributes;
  /** The good attributes as record headers, and the `content-type` of the data. */
  headers: Record<string, string>;
  data: Uint8Array | null;
  /** The value of the data where the JSON format has it as a member; else undefined. */
  json: unknown;
  errors: EventError[];
}

/** Each of these headers alone makes a message one of binary mode. */
const MODE_HEADERS = ['ce-specversion', 'ce-id', 'ce-type'];

/** The header that makes a message one of binary mode; undefined when it is none. */
export function binaryHeader(has: (name: string) => boolean): string | undefined {
  return MODE_HEADERS.find(has);
}

// Readers of the record would take such data for the event, with the attributes that a client made up.
const CLAIMS_EVENT = 'must not say that the data is itself a CloudEvent';

const DATA = '#/data_base64';

/** Binary mode (3.1): the attributes are in `ce-` headers, and the body is the data. */
export function readBinary(
  sent: Iterable<[string, string]>,
  contentType: string | null,
  body: Uint8Array,
  rules: ReadRules,
): ReceivedEvent {
  const { attributes, errors: unread } = headerAttributes(sent);
  const { headers, errors: bad } = checkAttributes(attributes, rules, (name) => `header ce-${name}`);
  const errors = [...unread, ...bad];
  if (contentType !== null && isEventType(contentType))
    errors.push(eventError('unsupported_type', `header Content-Type ${CLAIMS_EVENT}`));
  else if (contentType !== null) headers['content-type'] = contentType;
  return { attributes, headers, data: body.length === 0 ? null : body, json: undefined, errors };
}

/** Structured mode (3.2): the bytes are one event in the JSON format, and `members` are the same parsed. */
export function readStructured(
  bytes: Uint8Array,
  members: Record<string, unknown>,
  rules: ReadRules,
): ReceivedEvent {
  const { data, data_base64: base64, datacontenttype, ...attributes } = members;
  const { headers, errors } = checkAttributes(attributes, rules, (name) => `attribute ${name}`);
  const contentType = datacontenttype ?? 'application/json';
  const typeError = contentTypeError(contentType, rules);
  // Nobody can know the data without its type: the event is kept whole.
  if (typeError !== null)
    return { attributes, headers, data: bytes, json: undefined, errors: [...errors, typeError] };
  const type = contentType as string;
  const event: ReceivedEvent = { attributes, headers, data: null, json: undefined, errors };
  if (data !== undefined && base64 !== undefined && base64 !== null)
    errors.push(
      eventError('bad_cloudevent', 'event has both data and data_base64; they exclude each other', DATA),
    );
  else if (base64 !== undefined && base64 !== null) {
    event.data = strictBase64(base64);
    if (event.data === null) errors.push(eventError('bad_cloudevent', 'data_base64 must be base64', DATA));
  } else if (data !== undefined) {
    event.data = memberData(bytes, data, type);
    if (isJsonType(type) || typeof data !== 'string') event.json = data;
  }
  if (event.data !== null || typeof datacontenttype === 'string') headers['content-type'] = type;
  return event;
}

/**
 * The data that the member `data` of an event in the JSON format is (JSON format 3.1): a string is text unless the
 * content type is JSON's. `bytes` are the event; null as content type means JSON.
 */
export function memberData(bytes: Uint8Array, data: unknown, contentType: string | null): Uint8Array {
  if (typeof data === 'string' && contentType !== null && !isJsonType(contentType))
    return new TextEncoder().encode(data);
  const { start, end } = locate(bytes, ['data'])!;
  return bytes.subarray(start, end);
}

function contentTypeError(contentType: unknown, rules: ReadRules): EventError | null {
  const pointer = '#/datacontenttype';
  if (
    typeof contentType !== 'string' ||
    contentType === '' ||
    unusable(contentType, rules.contentType) !== null
  )
    return eventError('bad_cloudevent', 'attribute datacontenttype must be a media type', pointer);
  if (!isEventType(contentType)) return null;
  return eventError('unsupported_type', `attribute datacontenttype ${CLAIMS_EVENT}`, pointer);
}

/** Base64 with its padding (RFC 4648 section 4); null for anything else. */
function strictBase64(value: unknown): Uint8Array | null {
  if (typeof value !== 'string' || value.length % 4 !== 0) return null;
  return value === '' ? new Uint8Array(0) : fromBase64(value);
}
