import { isLoopback } from '../../core/host.ts';
import { note, type Weakness, weakTls } from '../values/weakness.ts';
import type { DedupeConfig } from './types.ts';

export function dedupeWeaknesses({ store }: DedupeConfig): Weakness[] {
  if (!('redis' in store)) return [];
  const { redis } = store;
  const path = ['dedupe', 'redis'];
  if ('cluster' in redis) return weakTls([...path, 'cluster', 'tls'], redis.cluster.tls);
  if ('sentinel' in redis) return weakTls([...path, 'sentinel', 'tls'], redis.sentinel.tls);
  const url = URL.parse(redis.url);
  if (url?.protocol !== 'redis:' || url.password === '' || isLoopback(url.hostname)) return [];
  return [note([...path, 'url'], 'sends its password readable; use rediss://')];
}
