import type { RedisServer } from '../../services/redis.ts';
import { until } from '../../services/until.ts';
import type { Platform } from '../platform.ts';
import type { Random } from '../random.ts';
import type { Stage } from '../stage.ts';

/** A primary of Redis and its replica, where the servers themselves choose who is the primary. */
export interface Failover {
  /** Of the fault. */
  name: string;
  old: RedisServer;
  /** Asks the servers to make the replica the primary. */
  command(): Promise<unknown>;
  hasTakenOver(): Promise<boolean>;
  /** `info replication` of the old primary. */
  replication(): Promise<string>;
  /** Resolves when nothing is left to repair. */
  healed(): Promise<void>;
}

/** Kills, stops or relieves the primary; its replica takes over, and the old one comes back as a replica. */
export async function failOver(stage: Stage<Platform>, random: Random, failover: Failover): Promise<void> {
  const { name, old } = failover;
  const how = random.pick(['SIGKILL', 'SIGSTOP', 'command'] as const);
  const from = Date.now();
  await stage.fault(
    `${name}, ${how}`,
    'redis',
    random.between(0, 2_000),
    async () => {
      if (how === 'command') await failover.command();
      else old.kill(how);
      await until('the replica is the primary', () => failover.hasTakenOver());
    },
    async () => {
      if (how === 'SIGSTOP') old.kill('SIGCONT');
      if (how === 'SIGKILL') await old.restart();
      // Until then the old server takes itself for the primary, and a client may, too.
      await until('the old primary is a replica', async () =>
        (await failover.replication()).includes('role:slave'),
      );
      stage.troubles.push({ what: 'redis failed over', from, to: Date.now() });
      await failover.healed();
    },
  );
}
