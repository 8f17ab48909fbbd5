import { isLoopback } from '../../core/host.ts';
import { type Weakness, weak, weakSecret } from '../values/weakness.ts';
import type { AdminConfig } from './types.ts';

export function adminWeaknesses({ listen, tokens }: AdminConfig): Weakness[] {
  const secrets = (['read', 'operate'] as const).flatMap((rights) =>
    tokens[rights].map((text, index) => ({ path: ['admin', 'tokens', rights, index], text })),
  );
  if (secrets.length > 0) return secrets.flatMap(weakSecret);
  if (isLoopback(listen.host)) return [];
  return [weak(['admin', 'listen'], 'opens the admin port to the network; set admin.tokens')];
}
