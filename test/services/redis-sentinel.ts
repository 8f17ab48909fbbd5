import { type RedisServer, startRedis } from './redis.ts';
import { redisCli } from './redis-cluster.ts';
import { until } from './until.ts';

/** A primary, its replica, and three sentinels that watch them, all on the loopback and with passwords. */
export interface RedisSentinel {
  readonly servers: RedisServer[];
  /** The sentinels. */
  readonly nodes: { host: string; port: number }[];
  readonly sentinels: RedisServer[];
  readonly name: string;
  readonly password: string;
  readonly sentinelPassword: string;
  /** Runs redis-cli on a server; resolves with its output, rejects when it fails. */
  cli(port: number, ...args: string[]): Promise<string>;
  /** The server that the sentinels call the primary. */
  primary(): Promise<RedisServer>;
  stop(): Promise<void>;
}

/** Starts all five; resolves when the sentinels know each other and the replica. */
export async function startRedisSentinel(): Promise<RedisSentinel> {
  const [name, password, sentinelPassword] = ['mymaster', 'of-the-servers', 'of-the-sentinels'];
  const started: RedisServer[] = [];
  const stop = async () => {
    await Promise.all(started.map((server) => server.stop()));
  };
  const start = async (options: Parameters<typeof startRedis>[0]) => {
    const server = await startRedis(options);
    started.push(server);
    return server;
  };
  const cli = (port: number, ...args: string[]) =>
    redisCli('-p', `${port}`, '-a', password, '--no-auth-warning', ...args);
  const ask = (sentinel: RedisServer, ...args: string[]) =>
    redisCli('-p', `${sentinel.port}`, '-a', sentinelPassword, '--no-auth-warning', 'sentinel', ...args);
  try {
    const auth = ['--requirepass', password, '--masterauth', password];
    const primary = await start({ args: auth });
    const replica = await start({ args: [...auth, '--replicaof', `127.0.0.1 ${primary.port}`] });
    const lines = [
      `requirepass ${sentinelPassword}`,
      `sentinel monitor ${name} 127.0.0.1 ${primary.port} 2`,
      `sentinel auth-pass ${name} ${password}`,
      `sentinel down-after-milliseconds ${name} 1000`,
      `sentinel failover-timeout ${name} 3000`,
    ];
    const sentinels: RedisServer[] = [];
    for (let i = 0; i < 3; i++) sentinels.push(await start({ sentinel: lines }));
    const known = /num-slaves\s+1\s[\s\S]*num-other-sentinels\s+2\s/;
    for (const sentinel of sentinels)
      await until('the sentinels know each other', async () =>
        known.test(await ask(sentinel, 'master', name)),
      );
    await until('the replica follows the primary', async () =>
      (await cli(replica.port, 'info', 'replication')).includes('master_link_status:up'),
    );
    return {
      servers: [primary, replica],
      nodes: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
      sentinels,
      name,
      password,
      sentinelPassword,
      cli,
      async primary() {
        const address = await ask(sentinels[2]!, 'get-master-addr-by-name', name);
        return started.find((server) => server.port === Number(address.trim().split('\n')[1]))!;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
