import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../services/free-port.ts';
import { type Kafka, startKafka } from '../services/kafka.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { redisCli } from '../services/redis-cluster.ts';
import { type FaultyProxy, startToxiproxy } from '../services/toxiproxy.ts';

/** Real servers. */
export interface Platform {
  /** Direct, for those who look afterwards: host:port, with commas between. */
  readonly brokers: string;
  /** In the config of Postern: where the brokers are, as above, and how Redis is reached, as YAML. */
  readonly config: { brokers: string; redis: string };
  stop(): Promise<void>;
}

/** One of each behind a Toxiproxy: what Postern reaches goes through the proxy, what tests reach does not. */
export interface SinglePlatform extends Platform {
  readonly kafka: Kafka;
  readonly kafkaProxy: FaultyProxy;
  readonly redisProxy: FaultyProxy;
  readonly redisPort: number;
  /** Runs redis-cli; resolves with its output, rejects when it fails. */
  redisCli(...args: string[]): Promise<string>;
  /** Signals the present server; `SIGSTOP` and `SIGCONT` are all it comes back from. */
  signalRedis(signal: NodeJS.Signals): void;
  /** Kills the server; resolves with one that is empty in its place, after `ms` milliseconds. */
  replaceRedis(ms: number): Promise<void>;
}

/** Starts Kafka, Redis and Toxiproxy. */
export async function startPlatform(): Promise<SinglePlatform> {
  const ports = async (count: number) => {
    const found: number[] = [];
    while (found.length < count) found.push(await freePort());
    return found as [number, number, number, number];
  };
  const toxiproxy = await startToxiproxy();
  const [direct, behind, front, controller] = await ports(4);
  const kafkaProxy = await toxiproxy.proxy('kafka', front, behind);
  const [kafka, firstRedis] = await Promise.all([
    startKafka({
      port: direct,
      config: {
        listeners: `PLAINTEXT://127.0.0.1:${direct},PROXIED://127.0.0.1:${behind},CONTROLLER://127.0.0.1:${controller}`,
        // A client goes where the broker says that it is: there must be no way around the proxy.
        'advertised.listeners': `PLAINTEXT://127.0.0.1:${direct},PROXIED://127.0.0.1:${front}`,
        'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT',
        'controller.quorum.voters': `1@127.0.0.1:${controller}`,
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'allow.everyone.if.no.acl.found': 'true',
      },
    }),
    startRedis(),
  ]);
  let redis: RedisServer = firstRedis;
  const { port } = redis;
  const redisProxy = await toxiproxy.proxy('redis', await freePort(), port);
  return {
    brokers: kafka.brokers,
    config: {
      brokers: `127.0.0.1:${kafkaProxy.port}`,
      redis: `url: 'redis://127.0.0.1:${redisProxy.port}'`,
    },
    kafka,
    kafkaProxy,
    redisProxy,
    redisPort: port,
    redisCli: (...args) => redisCli('-p', `${port}`, ...args),
    signalRedis: (signal) => redis.kill(signal),
    replaceRedis: async (ms) => {
      await redis.stop();
      await sleep(ms);
      redis = await startRedis({ port });
    },
    stop: async () => {
      await Promise.all([kafka.stop(), redis.stop(), toxiproxy.stop()]);
    },
  };
}
