import type { DecodedEvent } from '../../core/event.ts';
import type { Relay } from '../../ports/relay.ts';
import type { Head } from '../body/head.ts';
import type { Source } from '../formats/source.ts';
import { type Outcome, refusedWhole, unstored } from '../pipeline.ts';
import type { Protocol } from '../protocols/protocol.ts';
import type { Reply } from '../reply.ts';

/** A request whose events have been judged. */
export interface Judged {
  events: DecodedEvent[];
  source: Source;
  protocol: Protocol;
  head: Head;
  url: string;
  /** As sent. */
  body: Uint8Array | null;
}

/**
 * Hands a request on to the gateway that stores, whole and as it was sent: so its payloads, ids and signatures are
 * the same there. Its reply is passed back; what may not come in whoever looks at it ends here.
 */
export async function handOn(relay: Relay, judged: Judged): Promise<Outcome | Reply> {
  const { events, source, protocol, head, body } = judged;
  if (!relay.forwardsRefusedRequests) {
    const refused = refusedWhole(events, source);
    // A sender that is told of success must find what was refused among the rejected events.
    if (refused !== null && protocol.reply(refused, head).status >= 400) return refused;
  }
  const { pathname, search } = new URL(judged.url);
  const target = pathname + search;
  const reply = await relay.forward({ method: head.method, target, headers: head.headers(), body });
  return reply ?? unstored(events);
}
