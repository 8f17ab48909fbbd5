import type { Admission, GuardedSource } from '../admission/admit.ts';
import type { Head } from '../body/head.ts';
import type { DecodeContext, Decoding, Source } from '../formats/source.ts';
import type { Outcome } from '../pipeline.ts';
import type { Reply } from '../reply.ts';
import type { Signed } from '../signature/check.ts';

/** What a protocol gets to read. */
export interface Input {
  head: Head;
  /** Without its content-encoding; the signature, if the source wants one, is right. */
  body: Uint8Array;
  admission: Admission | null;
  signed: Signed | null;
  context(source: Source): DecodeContext;
}

/** The events, and who sent them; or the answer, when the request is about something else. */
export type Reading = { admission: Admission; events: Decoding } | { answer: Reply };

/** How the requests of some paths are read and answered. */
export interface Protocol {
  /** The source that the head names; null when only the body can tell. Throws RequestError, such as `not_found`. */
  sourceOf(head: Head): GuardedSource | null;
  /** Throws RequestError when the head alone is a reason to refuse, before the body is read. */
  inspect(head: Head): void;
  /** Throws RequestError when the body as a whole is wrong. With a null admission it has to find one. */
  read(input: Input): Reading;
  reply(outcome: Outcome, head: Head): Reply;
}
