import type { TlsConfig } from '../values/tls.ts';
import type { LogDocument } from './shape.ts';

type KafkaDocument = NonNullable<LogDocument['kafka']>;

export type KafkaConfig = Omit<KafkaDocument, 'tls' | 'sasl' | 'create'> & {
  tls: TlsConfig | null;
  sasl: NonNullable<KafkaDocument['sasl']> | null;
  /** How topics that are missing at start are created; 0 uses the broker's default. Null: they are not. */
  create: { partitions: number; replication: number } | null;
};

export interface LogConfig {
  /** `age` in milliseconds, `size` in bytes. */
  store: { kafka: KafkaConfig } | { embedded: { path: string; retention: { age: number; size: number } } };
  /** Where events wait on disk while Kafka does not store them: `after` in milliseconds, `max` in bytes. */
  spool: { path: string; max: number; after: number } | null;
  /** Milliseconds after which a request gets 503 if its events are not stored yet. */
  timeout: number;
}
