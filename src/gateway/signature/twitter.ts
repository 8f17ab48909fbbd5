import { toBase64 } from '../../core/encoding.ts';
import { RequestError } from '../../core/errors.ts';
import type { SignatureCheck } from './check.ts';
import { bytesOf, makeMacs } from './mac.ts';
import { badSignature } from './refusal.ts';

/**
 * X signs posts, and asks by GET for the HMAC of a token, which anybody may do. So a token must not be
 * a possible body: else whoever asks would be handed the signature of an event that X never sent.
 */
const TOKEN = /^[\w+/=.-]{1,256}$/;
const OBJECT = 0x7b;

/** `check` for posts; GET gets the `response` to its `crc_token`, made with the first secret. */
export function twitterCheck(secrets: string[], check: SignatureCheck): SignatureCheck {
  const macs = makeMacs(secrets.map(bytesOf), 'sha256');
  return async (sent, head) => {
    if (head.method !== 'GET') {
      if (sent[0] !== OBJECT) throw badSignature('malformed');
      return check(sent, head);
    }
    const token = head.query('crc_token');
    if (token === undefined || !TOKEN.test(token)) {
      throw new RequestError(
        'bad_webhook',
        'the query has no crc_token, or one of other than base64 characters',
      );
    }
    return {
      secret: 0,
      id: null,
      idSigned: false,
      response: `sha256=${toBase64(await macs.of(0, bytesOf(token)))}`,
    };
  };
}
