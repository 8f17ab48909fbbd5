/** Header of forwarded requests and of the replies to them: only a gateway sends it back. */
export const RELAY_MARK = 'postern-relay';

/** A request as it was sent, for the gateway that stores its events. */
export interface Passage {
  method: string;
  /** Path and query as sent. */
  target: string;
  /** With lower-case names. */
  headers: Iterable<[string, string]>;
  /** As sent, in its content-encoding; null or empty when there is none. */
  body: Uint8Array | null;
}

/** The reply of that gateway. */
export interface PassedReply {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array<ArrayBuffer> | null;
}

/** The way to another gateway, which stores events. */
export interface Relay {
  /** True: also a request whose events are all refused is forwarded, so that the other gateway keeps them. */
  readonly forwardsRefusedRequests: boolean;
  /** Null when no gateway replied in time: then nobody knows whether the events are stored. Does not reject. */
  forward(passage: Passage): Promise<PassedReply | null>;
}
