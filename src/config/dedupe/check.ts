import { isLoopback } from '../../core/host.ts';
import { formatDuration } from '../../core/units.ts';
import type { Findings } from '../text/findings.ts';
import { note, type Weakness, weakTls } from '../values/weakness.ts';
import type { DedupeConfig } from './types.ts';

/** Checks settings of the dedupe store against each other and against the log's. */
export function checkDedupe(dedupe: DedupeConfig, logTimeout: number, findings: Findings): void {
  const lease = ['dedupe', 'lease'];
  const timeout = 'redis' in dedupe.store ? dedupe.store.redis.timeout : 0;
  if (dedupe.lease <= timeout) {
    findings.error(lease, `must be longer than dedupe.redis.timeout (${formatDuration(timeout)})`);
  } else if (dedupe.lease <= logTimeout) {
    findings.warn(
      lease,
      `is not longer than log.timeout (${formatDuration(logTimeout)}): a slow append may outlive its claim`,
    );
  }
  if (dedupe.window < dedupe.lease) {
    findings.error(['dedupe', 'window'], `is less than dedupe.lease (${formatDuration(dedupe.lease)})`);
  }
}

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
