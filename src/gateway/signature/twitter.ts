import { toBase64 } from '../../core/encoding.ts';
import { RequestError } from '../../core/errors.ts';
import { badSignature, type SignatureCheck } from './check.ts';
import { bytesOf, makeMacs } from './mac.ts';

/**
 * X signs its posts. By GET it asks for the HMAC of a token, and so can anybody. A token that could be a body would
 * give an attacker the signature of an event that X never sent, so tokens have no `{`.
 */
const TOKEN = /^[\w+/=.-]{1,256}$/;
const OBJECT = 0x7b;

/** Posts are checked by `check`. A GET gets a `response` to its `crc_token`, made with the first secret. */
export function twitterCheck(secrets: string[], check: SignatureCheck): SignatureCheck {
  const macs = makeMacs(secrets.map(bytesOf), 'sha256');
  return async (sent, head) => {
    if (head.method !== 'GET') {
      if (sent[0] !== OBJECT) throw badSignature('malformed');
      return check(sent, head);
    }
    const token = head.query('crc_token');
    if (token === undefined || !TOKEN.test(token)) {
      throw new RequestError('bad_webhook', 'the query needs a crc_token of 1 to 256 base64 characters');
    }
    return {
      secret: 0,
      id: null,
      idSigned: false,
      response: `sha256=${toBase64(await macs.of(0, bytesOf(token)))}`,
    };
  };
}
