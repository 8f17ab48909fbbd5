import { formatDuration } from '../../core/units.ts';
import type { Findings } from '../text/findings.ts';
import { note, type Weakness, weak, weakTls } from '../values/weakness.ts';
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

export function logWeaknesses({ store }: LogConfig): Weakness[] {
  if (!('kafka' in store)) return [];
  const { tls, sasl } = store.kafka;
  const path = ['log', 'kafka', 'sasl'];
  const found = weakTls(['log', 'kafka', 'tls'], tls);
  if (sasl === null || tls !== null) return found;
  if (sasl.mechanism === 'plain')
    found.push(weak(path, 'plain without tls sends the password readable; add tls: {}'));
  else found.push(note(path, 'without tls others on the network can read the events; add tls: {}'));
  return found;
}
