import { isToken } from '../../core/bearer.ts';
import { hostOf, isAddress } from '../../core/host.ts';
import type { Config } from '../config.ts';
import type { Reader } from '../resolve.ts';
import type { ConfigDocument } from '../shape.ts';
import { readAddress } from '../values.ts';

/** The admin port of the document as the code uses it. */
export function readAdmin(raw: ConfigDocument['admin'], { findings, secret }: Reader): Config['admin'] {
  const tokens = (rights: 'read' | 'operate') =>
    raw.tokens[rights].map((text, index) => {
      const path = ['admin', 'tokens', rights, index];
      const token = secret(path, text);
      // An empty one is reported already.
      if (token.trim() !== '' && !isToken(token))
        findings.error(
          path,
          'must be 1 to 4096 visible ASCII characters without spaces: it is sent in a header',
        );
      return token;
    });
  for (const [index, host] of raw.hosts.entries()) {
    if (hostOf(host) !== host.toLowerCase() || isAddress(host))
      findings.error(
        ['admin', 'hosts', index],
        'must be a host name without a port, such as admin.shop.example; IP addresses are allowed anyway',
      );
  }
  return {
    listen: readAddress(findings, ['admin', 'listen'], raw.listen),
    hosts: raw.hosts.map((host) => host.toLowerCase()),
    tokens: { read: tokens('read'), operate: tokens('operate') },
  };
}
