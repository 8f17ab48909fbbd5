import { once } from 'node:events';
import { freePort } from './free-port.ts';
import { type RedisServer, spawnRedis, startRedis } from './redis.ts';
import { until } from './until.ts';

/** Three primaries and three replicas of a Redis Cluster on the loopback. */
export interface RedisCluster {
  readonly servers: RedisServer[];
  /** host:port of each. */
  readonly nodes: { host: string; port: number }[];
  /** Runs redis-cli on the node at a port; resolves with its output, rejects when it fails. */
  cli(port: number, ...args: string[]): Promise<string>;
  /** Resolves when every node knows every slot, and every replica follows its primary. */
  whole(): Promise<void>;
  stop(): Promise<void>;
}

/** Milliseconds after which a node that does not answer counts as failed. */
const NODE_TIMEOUT = 1500;

/** Starts the servers and joins them with `redis-cli --cluster create`; resolves when every node knows every slot. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const servers: RedisServer[] = [];
  for (let i = 0; i < 6; i++) servers.push(await startNode());
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  const whole = async () => {
    for (const { port } of servers) await until(`the cluster is whole for node ${port}`, () => isWhole(port));
  };
  const nodes = servers.map(({ port }) => ({ host: '127.0.0.1', port }));
  try {
    const addresses = nodes.map(({ host, port }) => `${host}:${port}`);
    await redisCli('--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes');
    await whole();
  } catch (error) {
    await stop();
    throw error;
  }
  return { servers, nodes, cli: (port, ...args) => redisCli('-p', `${port}`, ...args), whole, stop };
}

/** Nodes talk to each other on their port + 10000, which must be free, too. */
async function startNode(): Promise<RedisServer> {
  for (let attempt = 1; ; attempt++) {
    let port = await freePort();
    while (port > 55_535) port -= 20_000;
    try {
      return await startRedis({
        port,
        args: ['--cluster-enabled', 'yes', '--cluster-node-timeout', `${NODE_TIMEOUT}`],
      });
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

/** The cluster is up as a node sees it, and its replicas follow their primaries. */
async function isWhole(port: number): Promise<boolean> {
  const info = await redisCli('-p', `${port}`, 'cluster', 'info');
  const replication = await redisCli('-p', `${port}`, 'info', 'replication');
  return info.includes('cluster_state:ok') && /role:master|master_link_status:up/.test(replication);
}

/** Runs redis-cli; resolves with what it printed, rejects with it when it fails. */
export async function redisCli(...args: string[]): Promise<string> {
  const child = await spawnRedis('redis-cli', args);
  let output = '';
  child.stdout!.on('data', (bytes: Buffer) => (output += bytes.toString()));
  child.stderr!.on('data', (bytes: Buffer) => (output += bytes.toString()));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`redis-cli ended with ${code}:\n${output}`);
  return output;
}
