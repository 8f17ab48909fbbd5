import { note, type Weakness, weak, weakTls } from '../values/weakness.ts';
import type { LogConfig } from './types.ts';

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
