import type { Admission, GuardedSource } from '../admission/admit.ts';
import type { Head } from '../body/head.ts';
import type { DecodeContext, Decoding, Source } from '../formats/source.ts';
import type { Outcome } from '../outcome.ts';
import type { Reply } from '../reply.ts';
import type { Signed } from '../signature/check.ts';

/** The body of a request whose head was checked. */
export interface ReceivedBody {
  /** Without its content-encoding; the signature, if the source wants one, is right. */
  body: Uint8Array;
  /** Null when the key is in the body. */
  admission: Admission | null;
  signed: Signed | null;
  context(source: Source): DecodeContext;
}

/** The events of a body, and their sender. */
export interface DecodedBody {
  admission: Admission;
  events: Decoding;
}

/**
 * Decodes a body; finds an admission when there is none. A Reply answers a request that holds no events. Throws
 * RequestError when the body as a whole is wrong.
 */
type DecodeBody = (received: ReceivedBody) => DecodedBody | Reply;

/** How the requests of some paths are read and answered. */
export interface Protocol {
  /** The source that the head names; null when only the body can tell. Throws RequestError, such as `not_found`. */
  sourceOf(head: Head): GuardedSource | null;
  /**
   * Checks the head of an admitted request; `guarded` is the source that its head names. Returns the function for its body.
   * Throws RequestError when the head alone is enough to refuse the request.
   */
  open(head: Head, guarded: GuardedSource | null): DecodeBody;
  reply(outcome: Outcome, head: Head, source: Source): Reply;
}
