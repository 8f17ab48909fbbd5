import { formatDuration } from '../../core/units.ts';
import type { Findings } from '../text/findings.ts';
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
