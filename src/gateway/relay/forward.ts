import type { DecodedEvent } from '../../core/event.ts';
import type { Relay } from '../../ports/relay.ts';
import type { Head } from '../body/head.ts';
import type { Source } from '../formats/source.ts';
import { type Outcome, refusedWhole, unstored } from '../pipeline.ts';
import type { Protocol } from '../protocols/protocol.ts';
import type { Reply } from '../reply.ts';

/** A request whose events have been judged. */
export interface JudgedRequest {
  events: DecodedEvent[];
  source: Source;
  protocol: Protocol;
  head: Head;
  url: string;
  /** As sent, in its content-encoding. */
  body: Uint8Array | null;
}

/**
 * Forwards a request to the gateway that stores, as it was sent: so its payloads, ids and signatures are the same
 * there. Resolves with the reply of that gateway, or with an outcome of our own when there is none. A request whose
 * events are all refused is not forwarded, unless the relay forwards refused requests.
 */
export async function forwardToOrigin(relay: Relay, judged: JudgedRequest): Promise<Outcome | Reply> {
  const { events, source, protocol, head, body } = judged;
  if (!relay.forwardsRefusedRequests) {
    const refused = refusedWhole(events, source);
    // Some protocols reply with success all the same. Then the origin must keep the refused events.
    if (refused !== null && protocol.reply(refused, head).status >= 400) return refused;
  }
  const { pathname, search } = new URL(judged.url);
  const target = pathname + search;
  const reply = await relay.forward({ method: head.method, target, headers: head.headers(), body });
  return reply ?? unstored(events);
}
