/** Header of requests that are handed on, and of the replies to them: only a gateway gives it back. */
export const RELAY_MARK = 'postern-relay';

/** A request as it came, for the gateway that stores its events. */
export interface Passage {
  method: string;
  /** Path and query as sent. */
  target: string;
  /** With lower-case names. */
  headers: Iterable<[string, string]>;
  /** As sent, in its content-encoding; null or empty: none. */
  body: Uint8Array | null;
}

/** What it answered. */
export interface PassedReply {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array<ArrayBuffer> | null;
}

/** The way to another gateway, which stores events. */
export interface Relay {
  /** Whether requests are handed on of which nothing may come in, so that what is refused is kept there. */
  readonly takesRefused: boolean;
  /** Null when no answer of a gateway came in time: then nothing is known of the events. Does not reject. */
  forward(passage: Passage): Promise<PassedReply | null>;
}
