import type { SourceConfig } from '../config/source/types.ts';
import type { Protocol } from './protocols/protocol.ts';

export type JsonObject = Record<string, unknown>;

/** A path of the gateway, as it is served and as `/openapi.json` describes it. */
export interface Route {
  /** `:source` stands for the name of a source. */
  path: string;
  methods: ('GET' | 'POST')[];
  /** The protocol of the sources that it serves. */
  takes: SourceConfig['protocol'];
  /** One plain sentence. */
  summary: string;
  /** Media types that a body may have. */
  accepts: string[];
  protocol: Protocol;
  /** Replies that are no error; default: a verdict for each event. */
  ok?: ('verdicts' | { status: number; description: string; type?: string; example?: unknown })[];
  /** Sources that a method serves, if not all. */
  only?: { GET?: (source: SourceConfig) => boolean };
  /** Further parameters, as OpenAPI parameter objects. */
  parameters?: JsonObject[];
  /** Describes a body of a media type by an OpenAPI media type object. */
  body?: (type: string) => JsonObject;
}
