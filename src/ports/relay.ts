/** Header of forwarded requests and of their replies. Only a gateway sends it back. */
export const RELAY_MARK = 'postern-relay';

/** A request to forward to the gateway that stores its events. */
export interface ForwardedRequest {
  method: string;
  /** Path and query as sent. */
  target: string;
  /** With lower-case names. */
  headers: Iterable<[string, string]>;
  /** As sent, in its content-encoding; null or empty when there is none. */
  body: Uint8Array | null;
}

/** The reply of that gateway. */
export interface ForwardedReply {
  status: number;
  /** With lower-case names. */
  headers: Record<string, string>;
  body: Uint8Array<ArrayBuffer> | null;
}

/** The way to another gateway, which stores events. */
export interface Relay {
  /** Whether requests whose events are all refused are forwarded too, so that the other gateway keeps them. */
  readonly forwardsRefusedRequests: boolean;
  /**
   * Sends a request once. Null when no reply of a gateway arrived in time: then it is not known whether its events are
   * stored. Does not reject.
   */
  forward(request: ForwardedRequest): Promise<ForwardedReply | null>;
}
