import type { Limits } from '../../config/gateway/types.ts';
import type { SourceConfig } from '../../config/source/types.ts';
import type { DecodedEvent } from '../../core/event.ts';
import { makePointer, type Pointer } from '../../json/pointer.ts';
import type { Digests } from '../../ports/platform.ts';

/** A source of the config with its pointers parsed. */
export interface Source {
  name: string;
  config: SourceConfig;
  /** CloudEvents `source` of events that bring none. */
  uri: string;
  id: readonly Pointer[] | 'content' | null;
  type: Pointer | string;
  time: Pointer | null;
  subject: Pointer | null;
  key: Pointer | null;
}

export function makeSource(config: SourceConfig): Source {
  const type = config.type ?? `postern.${config.name}`;
  const pointer = (text: string | null) => (text === null ? null : makePointer(text));
  return {
    name: config.name,
    config,
    uri: `/${config.protocol === 'webhook' ? 'webhooks' : config.protocol}/${config.name}`,
    id: Array.isArray(config.id) ? config.id.map(makePointer) : config.id,
    type: type.startsWith('/') ? makePointer(type) : type,
    time: pointer(config.time),
    subject: pointer(config.subject),
    key: pointer(config.key),
  };
}

/** What decoding needs to know of the request besides its bytes. */
export interface DecodeContext {
  source: Source;
  limits: Limits;
  digests: Digests;
  /** RFC 3339 text. */
  receivedAt: string;
  header(name: string): string | undefined;
  /** Charges the request for bytes that the events take beyond those of the body. Throws RequestError `overloaded`. */
  grow(bytes: number): void;
  /** The id that the Idempotency-Key header gives, or null. */
  idempotencyKey: string | null;
  /** The bytes whose digest is the id of a source with `id: content`; absent: the event's data. */
  content?: Uint8Array;
  /** Headers that every record of the request gets, such as traceparent. */
  trace: Record<string, string>;
}

/**
 * The events of a body; each is made when it is asked for. Null: there is no event yet, and other requests may have a
 * turn. May throw RequestError.
 */
export type Decoding = Iterable<DecodedEvent | null>;
