import { startRedis } from '../../services/redis.ts';
import { until } from '../../services/until.ts';
import type { SentinelPlatform } from '../platforms.ts';
import type { Random } from '../random.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';
import { failOver } from './redis-failover.ts';

export const sentinelFailover: Scenario<SentinelPlatform> = {
  name: 'sentinel-failover',
  about: 'the primary is killed, hangs, or is relieved by command; the sentinels choose its replica',
  platform: 'sentinel',
  rounds: 2,
  round: failOverSentinel,
};

async function failOverSentinel(stage: Stage<SentinelPlatform>, random: Random): Promise<void> {
  const { cli, name, sentinels, sentinelPassword, primary, servers } = stage.platform.sentinel;
  const old = await primary();
  const next = servers.find((server) => server !== old)!;
  const replication = (port: number) => cli(port, 'info', 'replication');
  await failOver(stage, random, {
    name: 'sentinels fail over',
    old,
    command: () => cli(sentinels[0]!.port, '-a', sentinelPassword, 'sentinel', 'failover', name),
    hasTakenOver: async () =>
      (await primary()) !== old && (await replication(next.port)).includes('role:master'),
    replication: () => replication(old.port),
    healed: () =>
      until('the old primary follows the new one', async () =>
        (await replication(old.port)).includes('master_link_status:up'),
      ),
  });
}

export const redisReadonly: Scenario = {
  name: 'redis-readonly',
  about: 'Redis becomes a replica under open connections (READONLY), and its address still leads to it',
  rounds: 3,
  round: async (stage, random) => {
    const { redisCli, redisPort } = stage.platform;
    const other = await startRedis({ args: ['--replicaof', `127.0.0.1 ${redisPort}`] });
    const at = ['-p', String(other.port)];
    const follows = async (...of: string[]) =>
      (await redisCli(...of, 'info', 'replication')).includes('master_link_status:up');
    await until('the other server follows Redis', () => follows(...at));
    const from = Date.now();
    await stage.fault(
      'redis demoted',
      'redis',
      random.between(200, 3_000),
      async () => {
        await redisCli(...at, 'replicaof', 'no', 'one');
        await redisCli('replicaof', '127.0.0.1', String(other.port));
      },
      async () => {
        await until('Redis follows the other server', () => follows());
        await redisCli('replicaof', 'no', 'one');
        stage.troubles.push({ what: 'redis failed over', from, to: Date.now() });
        await other.stop();
      },
    );
  },
};
