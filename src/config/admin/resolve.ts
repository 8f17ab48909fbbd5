import { isToken } from '../../core/bearer.ts';
import { hostOf, isAddress } from '../../core/host.ts';
import { readAddress } from '../values/address.ts';
import type { Reader } from '../values/reader.ts';
import type { AdminDocument } from './shape.ts';
import type { AdminConfig } from './types.ts';

/** Makes the admin port's config of its document, and checks each value on its own. */
export function readAdmin(raw: AdminDocument, { findings, secret }: Reader): AdminConfig {
  const tokens = (rights: 'read' | 'operate') =>
    raw.tokens[rights].map((text, index) => {
      const path = ['admin', 'tokens', rights, index];
      const token = secret(path, text);
      // `secret` has reported an empty one.
      if (token.trim() !== '' && !isToken(token))
        findings.error(
          path,
          'must be 1 to 4096 visible ASCII characters without spaces, because a header holds it',
        );
      return token;
    });
  for (const [index, host] of raw.hosts.entries()) {
    if (hostOf(host) !== host.toLowerCase() || isAddress(host))
      findings.error(
        ['admin', 'hosts', index],
        'must be a host name without a port, such as admin.shop.example; IP addresses are always allowed',
      );
  }
  return {
    listen: readAddress(findings, ['admin', 'listen'], raw.listen),
    hosts: raw.hosts.map((host) => host.toLowerCase()),
    tokens: { read: tokens('read'), operate: tokens('operate') },
  };
}
