import type { Client } from './client.ts';

/** The part of kafkajs' cluster that fetches records. kafkajs gives it no public name. */
export interface FetchCluster {
  connect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadata(): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  /** Partitions by node id. */
  findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>;
  findBroker(node: { nodeId: string }): Promise<{
    fetch(request: object): Promise<{ responses: { partitions: object[] }[] }>;
  }>;
}

/** A way to the brokers without a group, which kafkajs' consumer always joins. See log-reader.test.ts. */
export function fetchCluster({ kafka }: Client): FetchCluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  )!;
  const makers = kafka as unknown as Record<symbol, (options: object) => FetchCluster>;
  return makers[symbol]!({ allowAutoTopicCreation: false, metadataMaxAge: 300_000 });
}
