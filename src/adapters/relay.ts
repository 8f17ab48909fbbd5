import { type ForwardedReply, type ForwardedRequest, RELAY_MARK, type Relay } from '../ports/relay.ts';

export interface RelayOptions {
  /** URL of the gateway that stores: `https://host`, perhaps with a path that its own paths are added to. */
  origin: string;
  /** Milliseconds until its reply must have come. */
  timeout: number;
  forwardsRefusedRequests: boolean;
  /** Lower-case name of the header that the runtime sets to the client's address. Clients must not be able to set it. */
  addressHeader: string | null;
  /** Gets the reason each time that `forward` gives null. */
  onProblem(reason: string): void;
}

/** Headers of one connection only (RFC 9110 section 7.6.1), and headers that are made new for the next one. */
const NOT_FORWARDED = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'content-length',
  'expect',
  'accept-encoding',
  'x-forwarded-for',
  'forwarded',
  RELAY_MARK,
]);

/** The same for replies only, and headers that this gateway makes from its own config. */
const NOT_FORWARDED_OF_REPLY = /^(?:access-control-.*|vary|date|server|alt-svc|content-encoding|set-cookie)$/;

/** Forwards with fetch. Nothing is sent twice: a client without a verdict sends again, and its ids are deduplicated. */
export function fetchRelay(options: RelayOptions): Relay {
  const { timeout, forwardsRefusedRequests, onProblem } = options;
  const base = options.origin.replace(/\/+$/, '');

  async function forward(request: ForwardedRequest): Promise<ForwardedReply | null> {
    try {
      const response = await fetch(base + request.target, {
        method: request.method,
        headers: headersOf(request, options.addressHeader),
        body:
          request.body !== null && request.body.length > 0 ? (request.body as Uint8Array<ArrayBuffer>) : null,
        redirect: 'manual',
        signal: AbortSignal.timeout(timeout),
      });
      // Another server may answer at that URL. Its 200 would be taken for stored.
      if (response.headers.get(RELAY_MARK) === null) {
        onProblem(`status ${response.status} from a server that is not Postern`);
        await response.body?.cancel();
        return null;
      }
      const body = new Uint8Array(await response.arrayBuffer());
      const { status } = response;
      return { status, headers: replyHeaders(response.headers), body: body.length === 0 ? null : body };
    } catch (error) {
      onProblem(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
      return null;
    }
  }

  return { forwardsRefusedRequests, forward };
}

function headersOf({ headers }: ForwardedRequest, addressHeader: string | null): Headers {
  const sent = new Headers();
  let forwarded: string | undefined;
  let address: string | undefined;
  for (const [name, value] of headers) {
    if (name === 'x-forwarded-for') forwarded = value;
    if (name === addressHeader) address = value;
    if (!NOT_FORWARDED.has(name)) sent.append(name, value);
  }
  // Without the header of the runtime, the last address of the list would be one that the client made up.
  if (address !== undefined) {
    sent.set('x-forwarded-for', forwarded === undefined ? address : `${forwarded}, ${address}`);
  }
  sent.set('accept-encoding', 'identity');
  sent.set(RELAY_MARK, '1');
  return sent;
}

function replyHeaders(headers: Headers): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (!NOT_FORWARDED.has(name) && !NOT_FORWARDED_OF_REPLY.test(name)) passed[name] = value;
  }
  // In a refusal (415) it lists the codings that the client may use.
  const codings = headers.get('accept-encoding');
  if (codings !== null) passed['accept-encoding'] = codings;
  return passed;
}
