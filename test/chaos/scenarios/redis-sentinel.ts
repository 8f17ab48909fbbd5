import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from '../../services/redis.ts';
import type { SentinelPlatform } from '../platforms.ts';
import type { Random } from '../random.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';

export const sentinelFailover: Scenario<SentinelPlatform> = {
  name: 'sentinel-failover',
  about: 'the primary is killed, hangs, or is relieved by command; the sentinels choose its replica',
  platform: 'sentinel',
  rounds: 2,
  round: (stage, random) => failOver(stage, random),
};

export const sentinelFailoverRefuse: Scenario<SentinelPlatform> = {
  name: 'sentinel-failover-refuse',
  about: 'the same with outage: refuse',
  platform: 'sentinel',
  outage: 'refuse',
  rounds: 2,
  round: (stage, random) => failOver(stage, random),
};

async function failOver(stage: Stage<SentinelPlatform>, random: Random): Promise<void> {
  const { cli, name, sentinels, sentinelPassword, primary, servers } = stage.platform.sentinel;
  const [old, how] = [await primary(), random.pick(['SIGKILL', 'SIGSTOP', 'command'] as const)];
  const next = servers.find((server) => server !== old)!;
  const roleOf = async (port: number) => /role:(\w+)/.exec(await cli(port, 'info', 'replication'))?.[1];
  const from = Date.now();
  await stage.fault(
    `sentinels fail over, ${how}`,
    'redis',
    random.between(0, 2_000),
    async () => {
      if (how !== 'command') old.kill(how);
      else await cli(sentinels[0]!.port, '-a', sentinelPassword, 'sentinel', 'failover', name);
      while ((await primary()) === old || (await roleOf(next.port)) !== 'master') await sleep(50);
    },
    async () => {
      if (how === 'SIGSTOP') old.kill('SIGCONT');
      if (how === 'SIGKILL') await old.restart();
      // Until then it takes itself for the primary, and so may a client.
      while ((await roleOf(old.port)) !== 'slave') await sleep(50);
      stage.troubles.push({ what: 'redis failed over', from, to: Date.now() });
      while (!(await cli(old.port, 'info', 'replication')).includes('master_link_status:up')) await sleep(50);
    },
  );
}

export const redisReadonly: Scenario = {
  name: 'redis-readonly',
  about: 'Redis becomes a replica under open connections (READONLY), and its address still leads to it',
  rounds: 3,
  round: async (stage, random) => {
    const { redisCli, redisPort } = stage.platform;
    const other = await startRedis({ args: ['--replicaof', `127.0.0.1 ${redisPort}`] });
    const at = ['-p', String(other.port)];
    while (!(await redisCli(...at, 'info', 'replication')).includes('master_link_status:up')) await sleep(20);
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
        while (!(await redisCli('info', 'replication')).includes('master_link_status:up')) await sleep(20);
        await redisCli('replicaof', 'no', 'one');
        stage.troubles.push({ what: 'redis failed over', from, to: Date.now() });
        await other.stop();
      },
    );
  },
};
