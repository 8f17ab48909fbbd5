import type { VerifyConfig } from '../../config-source-types.ts';
import type { Head } from '../head.ts';

/** What a right signature tells. */
export interface Signed {
  /** Place of the secret that matched. */
  secret: number;
  /** The delivery's id, when the scheme has one in its headers. */
  id: string | null;
}

/** Checks a signature over the body as sent. Rejects with RequestError `unauthorized`, the same for all failures. */
export type SignatureCheck = (sent: Uint8Array, head: Head) => Promise<Signed>;

/** The check that a source's `verify` describes. */
export function makeSignatureCheck(_config: VerifyConfig): SignatureCheck {
  throw new Error('not built yet');
}
