import { formatDuration } from '../../core/units.ts';
import type { Findings } from '../text/findings.ts';
import type { LogConfig } from './types.ts';

/** Checks settings of the log against each other. */
export function checkLog({ spool, store, timeout }: LogConfig, findings: Findings): void {
  if (spool === null) return;
  if (!('kafka' in store))
    findings.warn(['log', 'spool'], 'is of no use with the embedded log, which is a file too');
  if (spool.after >= timeout) {
    findings.error(
      ['log', 'spool', 'after'],
      `must be less than log.timeout (${formatDuration(timeout)}), after which requests get 503`,
    );
  }
}
