/**
 * A source of the config, resolved: durations in milliseconds, sizes in bytes.
 */

export interface KeyConfig {
  /** What logs call it. */
  id: string;
  key: string;
}

export interface JwtConfig {
  /** Where the JWK Set is, or its JSON text. */
  jwks: { url: string } | { text: string };
  issuer: string | null;
  audience: string | null;
  algorithms: string[];
}

export interface VerifyConfig {
  scheme: 'standard' | 'svix' | 'github' | 'stripe' | 'shopify' | 'slack' | 'twitter' | 'hmac' | 'device';
  /** At least one. */
  secrets: string[];
  /** How signed events are read, whatever their Content-Type says. */
  format: 'json' | 'lines' | 'cloudevents' | 'senml';
  /** Milliseconds. */
  tolerance: number;
  /** Lower-case name of the signature's header; null: the scheme's own. */
  header: string | null;
  hash: 'sha256' | 'sha1' | 'sha512';
  encoding: 'hex' | 'base64';
  prefix: string;
  /** Holds `{body}`, and perhaps `{timestamp}` and `{id}`. */
  template: string;
  /** Lower-case names of headers; for `device` a null timestamp means that no time is signed. */
  timestamp: string | null;
  id: string | null;
}

/** What is taken a second; null: as much as comes. */
export interface Rate {
  events: number | null;
  bytes: number | null;
}

export interface SourceConfig {
  name: string;
  protocol: 'events' | 'segment' | 'webhook';
  /** Empty: anybody may send, unless there is `jwt` or `verify`. */
  keys: KeyConfig[];
  jwt: JwtConfig | null;
  verify: VerifyConfig | null;
  /** Web pages that may send, and no others; null: `gateway.cors` decides who may read replies. */
  origins: string[] | null;
  rate: { all: Rate | null; key: Rate | null };
  topic: string;
  /** Where the id is, joined from several pointers; `content`: SHA-256 of the payload; null: only from the client's headers. */
  id: string[] | 'content' | null;
  /** `key`: the ids of two keys, or token subjects, are never the same. */
  identity: 'source' | 'key';
  /** A constant, a pointer (begins with `/`), or null: `postern.{source}`. */
  type: string | null;
  time: string | null;
  subject: string | null;
  /** Pointer to the Kafka key. */
  key: string | null;
  /** A schema's name, a pointer to the name (begins with `/`), a map from event type to schema name, or null: by `dataschema`, else none. In a map, `*` stands for all others. */
  schema: string | Record<string, string> | null;
  batch: 'each' | 'all-or-nothing';
}
