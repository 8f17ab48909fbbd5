import type { KafkaConfig } from '../../../src/config.ts';

/** A plain connection to one broker. */
export function kafkaConfig(brokers: string, changes: Partial<KafkaConfig> = {}): KafkaConfig {
  return {
    brokers: [brokers],
    clientId: 'postern-test',
    tls: null,
    sasl: null,
    compression: 'none',
    create: null,
    ...changes,
  };
}

/** A group that notices changes soon. */
export const timing = { session: 6_000, rebalance: 10_000, heartbeat: 200, wait: 100, metadata: 1_000 };
