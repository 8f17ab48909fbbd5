import type { Limits } from '../../config/gateway/types.ts';
import type { SourceConfig } from '../../config/source/types.ts';
import type { DecodedEvent, EventError } from '../../core/event.ts';
import { parsePointer } from '../../json/pointer.ts';
import type { Digests } from '../../ports/platform.ts';

/** A JSON Pointer, parsed once. */
export interface Place {
  pointer: string;
  tokens: string[];
}

/** A source of the config with its pointers parsed. */
export interface Source {
  name: string;
  config: SourceConfig;
  /** CloudEvents `source` of events that bring none. */
  uri: string;
  defaultType: string;
  id: Place[] | 'content' | null;
  type: Place | string;
  time: Place | null;
  subject: Place | null;
  key: Place | null;
}

const place = (pointer: string): Place => ({ pointer, tokens: parsePointer(pointer) });

export function makeSource(config: SourceConfig): Source {
  const type = config.type ?? `postern.${config.name}`;
  return {
    name: config.name,
    config,
    uri: `/${config.protocol === 'webhook' ? 'webhooks' : config.protocol}/${config.name}`,
    defaultType: type,
    id: Array.isArray(config.id) ? config.id.map(place) : config.id,
    type: type.startsWith('/') ? place(type) : type,
    time: config.time === null ? null : place(config.time),
    subject: config.subject === null ? null : place(config.subject),
    key: config.key === null ? null : place(config.key),
  };
}

/** What decoding needs to know of the request besides its bytes. */
export interface DecodeContext {
  source: Source;
  limits: Limits;
  digests: Digests;
  /** Milliseconds since 1970, and the same as RFC 3339 text. */
  receivedAt: string;
  header(name: string): string | undefined;
  /** Told of bytes that the events take beyond those of the body. Throws RequestError `overloaded`. */
  grow(bytes: number): void;
  /** The id that the Idempotency-Key header gives, or null. */
  idempotencyKey: string | null;
  /** What the digest of `id: content` is made of; absent: the event's data. */
  content?: Uint8Array;
  /** Headers that every record of the request gets, such as traceparent. */
  trace: Record<string, string>;
}

/**
 * The events of a body, made while they are read. Null: there is none yet, and others may have a turn. May throw
 * RequestError.
 */
export type Decoding = Iterable<DecodedEvent | null>;

/** The identity text: length-prefixed so that no two different triples give the same. */
export function identityOf(source: Source, uri: string, id: string): string {
  return `${source.name}\n${uri.length}:${uri}${id}`;
}

export function emptyEvent(index: number, context: DecodeContext, data: Uint8Array | null): DecodedEvent {
  return {
    index,
    data,
    json: undefined,
    id: '',
    headers: { ...context.trace },
    identity: '',
    key: null,
    errors: [],
  };
}

export function refuse(
  event: DecodedEvent,
  code: EventError['code'],
  detail: string,
  pointer?: string,
): void {
  event.errors.push(pointer === undefined ? { code, detail } : { code, pointer, detail });
}
