import { type Kafka, startKafka, startKafkaCluster } from '../services/kafka.ts';
import { startRedis } from '../services/redis.ts';
import { type RedisCluster, startRedisCluster } from '../services/redis-cluster.ts';
import { type RedisSentinel, startRedisSentinel } from '../services/redis-sentinel.ts';
import { type Platform, startPlatform } from './platform.ts';

/** Three brokers, two of which must have a record before it is acknowledged; one Redis. */
export interface BrokersPlatform extends Platform {
  readonly kafkas: readonly Kafka[];
}

/** A primary, its replica and three sentinels; one broker. */
export interface SentinelPlatform extends Platform {
  readonly sentinel: RedisSentinel;
}

/** Three primaries with a replica each; one broker. */
export interface ClusterPlatform extends Platform {
  readonly cluster: RedisCluster;
}

/** By kind: starts the servers. */
export const startPlatforms = {
  single: startPlatform,
  brokers: startBrokers,
  sentinel: startSentinel,
  cluster: startCluster,
} satisfies Record<string, () => Promise<Platform>>;

export type PlatformKind = keyof typeof startPlatforms;

async function startBrokers(): Promise<BrokersPlatform> {
  const [kafkas, redis] = await Promise.all([startKafkaCluster(3), startRedis()]);
  const brokers = kafkas.map((kafka) => kafka.brokers).join(',');
  return {
    brokers,
    config: { brokers, redis: `url: '${redis.url}'` },
    kafkas,
    stop: async () => {
      await Promise.all([...kafkas, redis].map((server) => server.stop()));
    },
  };
}

async function startSentinel(): Promise<SentinelPlatform> {
  const [{ brokers, stop }, sentinel] = await Promise.all([startKafka(), startRedisSentinel()]);
  const { name, password, sentinelPassword } = sentinel;
  return {
    brokers,
    config: {
      brokers,
      redis: `sentinel: { nodes: [${listed(sentinel.nodes)}], name: ${name}, password: ${password}, sentinelPassword: ${sentinelPassword} }`,
    },
    sentinel,
    stop: async () => {
      await Promise.all([stop(), sentinel.stop()]);
    },
  };
}

async function startCluster(): Promise<ClusterPlatform> {
  const [{ brokers, stop }, cluster] = await Promise.all([startKafka(), startRedisCluster()]);
  return {
    brokers,
    config: { brokers, redis: `cluster: { nodes: [${listed(cluster.nodes.slice(0, 2))}] }` },
    cluster,
    stop: async () => {
      await Promise.all([stop(), cluster.stop()]);
    },
  };
}

function listed(nodes: readonly { host: string; port: number }[]): string {
  return nodes.map(({ host, port }) => `'${host}:${port}'`).join(', ');
}
