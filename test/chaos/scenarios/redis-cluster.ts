import { redisCli } from '../../services/redis-cluster.ts';
import type { ClusterPlatform } from '../platforms.ts';
import type { Random } from '../random.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';
import { failOver } from './redis-failover.ts';

type Nodes = Stage<ClusterPlatform>;

export const clusterFailover: Scenario<ClusterPlatform> = {
  name: 'cluster-failover',
  about: 'a primary of Redis Cluster is killed, hangs, or is relieved by command; its replica takes over',
  platform: 'cluster',
  rounds: 2,
  round: failOverCluster,
};

export const clusterSlots: Scenario<ClusterPlatform> = {
  name: 'cluster-slots',
  about: 'slots with their ids move to another primary, and scripts are flushed; nobody is to notice',
  platform: 'cluster',
  rounds: 2,
  round: async (stage, random) => {
    const { cluster } = stage.platform;
    const [to, ...others] = random.shuffled(await primaries(stage));
    const from = others.toSorted((a, b) => b.slots - a.slots)[0]!;
    await stage.fault(
      'slots moved',
      null,
      0,
      async () => {
        for (const { port } of cluster.nodes) await cluster.cli(port, 'script', 'flush');
        await redisCli(
          ...['--cluster', 'reshard', `127.0.0.1:${from.port}`, '--cluster-yes'],
          ...['--cluster-from', from.id, '--cluster-to', to!.id],
          ...['--cluster-slots', String(random.between(300, 900))],
        );
      },
      () => cluster.whole(),
    );
  },
};

async function failOverCluster(stage: Nodes, random: Random): Promise<void> {
  const { cluster } = stage.platform;
  const { id, port } = random.pick(await primaries(stage));
  const next = (await nodes(stage, port)).find(({ primary }) => primary === id)!;
  const replication = (of: number) => cluster.cli(of, 'info', 'replication');
  await failOver(stage, random, {
    name: 'cluster fails over',
    old: cluster.servers.find((server) => server.port === port)!,
    command: () => cluster.cli(next.port, 'cluster', 'failover'),
    hasTakenOver: async () => (await replication(next.port)).includes('role:master'),
    replication: () => replication(port),
    healed: () => cluster.whole(),
  });
}

interface Node {
  id: string;
  port: number;
  /** Whose replica it is; null for primaries. */
  primary: string | null;
  /** Number of its slots. */
  slots: number;
}

async function primaries(stage: Nodes): Promise<Node[]> {
  const all = await nodes(stage, stage.platform.cluster.nodes[0]!.port);
  return all.filter(({ primary, slots }) => primary === null && slots > 0);
}

/** The nodes as the one at port `asked` knows them. */
async function nodes({ platform }: Nodes, asked: number): Promise<Node[]> {
  const lines = (await platform.cluster.cli(asked, 'cluster', 'nodes')).trim().split('\n');
  return lines.map((line) => {
    const [id, address, flags, primary, , , , , ...ranges] = line.split(' ') as [
      string,
      string,
      string,
      string,
    ];
    const sizes = (ranges as string[]).map((range) => {
      const [first, last = first] = range.split('-').map(Number) as [number, number?];
      return last - first + 1;
    });
    return {
      id,
      port: Number(/:(\d+)@/.exec(address)![1]),
      primary: flags.includes('master') ? null : primary,
      slots: sizes.reduce((sum, size) => sum + size, 0),
    };
  });
}
