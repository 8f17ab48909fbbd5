/** Sources as the code uses them: durations in milliseconds, sizes in bytes, secrets read. */

export interface KeyConfig {
  /** Name of the key in logs. */
  id: string;
  key: string;
}

export interface JwtConfig {
  /** URL of the JWK Set, or its JSON text. */
  jwks: { url: string } | { text: string };
  issuer: string | null;
  audience: string | null;
  algorithms: string[];
}

export interface VerifyConfig {
  scheme: 'standard' | 'svix' | 'github' | 'stripe' | 'shopify' | 'slack' | 'twitter' | 'hmac' | 'device';
  /** At least one. */
  secrets: string[];
  /** Format of signed bodies. Their Content-Type is not signed, so it does not count. */
  format: 'json' | 'lines' | 'cloudevents' | 'senml';
  /** Largest difference in milliseconds between the signed time and now. */
  tolerance: number;
  /** Lower-case name of the signature's header; null: the scheme's default. */
  header: string | null;
  hash: 'sha256' | 'sha1' | 'sha512';
  encoding: 'hex' | 'base64';
  prefix: string;
  /** Holds `{body}`, and perhaps `{timestamp}` and `{id}`. */
  template: string;
  /** Lower-case names of headers. For `device` a null timestamp means that no time is signed. */
  timestamp: string | null;
  id: string | null;
}

/** Limits a second; null: no limit. */
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
  /** Origins of web pages that may send; no others may. Null: `gateway.cors` decides which pages may read replies. */
  origins: string[] | null;
  rate: { all: Rate | null; key: Rate | null };
  topic: string;
  /** Pointers to the parts of the id; `content`: SHA-256 of the payload; null: only the client's headers have one. */
  id: string[] | 'content' | null;
  /** Where an id is unique: in the source, or for each `key` or token subject. */
  identity: 'source' | 'key';
  /** A constant, a pointer (begins with `/`), or null for `postern.{source}`. */
  type: string | null;
  time: string | null;
  subject: string | null;
  /** Pointer to the Kafka key. */
  key: string | null;
  /**
   * A schema's name, a pointer to the name (begins with `/`), or a map from event type to name, where `*` stands for all
   * other types. Null: the event's `dataschema` names it, if any.
   */
  schema: string | Record<string, string> | null;
  batch: 'each' | 'all-or-nothing';
}

/** The topics that events of a source go to. */
export function topicsOf({ topic }: SourceConfig): string[] {
  return [topic, `${topic}.rejected`];
}
