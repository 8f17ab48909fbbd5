import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Cluster as IoredisCluster } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { redisDedupeStore } from '../../../src/adapters/redis/dedupe-store.ts';
import { redisRateStore } from '../../../src/adapters/redis/rate-store.ts';
import { makeTags, slotOf, tagOf } from '../../../src/adapters/redis/slots.ts';
import { type ClaimOutcome, type DedupeStore, StoreUnavailable } from '../../../src/ports/dedupe-store.ts';
import { dedupeStoreContract } from '../../contracts/dedupe-store.ts';
import { rateStoreContract } from '../../contracts/rate-store.ts';
import { type RedisCluster, startRedisCluster } from '../../services/redis-cluster.ts';
import {
  answered,
  answering,
  beginMove,
  clusterServers,
  ids,
  namesOf,
  primariesOf,
  twoPrimaries,
} from './store.ts';

/** So many ids that every tag has some. */
const MANY = 1000;

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startRedisCluster();
}, 60_000);
afterAll(() => cluster.stop());

function openStore(options: { prefix?: string; timeout?: number; window?: number; lease?: number } = {}) {
  return redisDedupeStore({
    ...clusterServers(cluster),
    prefix: 't:',
    timeout: 5_000,
    window: 60_000,
    lease: 30_000,
    onError: () => {},
    ...options,
  });
}

dedupeStoreContract('Redis Cluster', async () => {
  const prefix = `${randomUUID()}:`;
  return {
    open: async (times) => {
      const store = openStore({ prefix, ...times });
      await answering(store, MANY);
      return store;
    },
    destroy: async () => {},
  };
});

rateStoreContract('Redis Cluster', async () => {
  const prefix = `${randomUUID()}:`;
  return {
    open: async () => {
      const store = redisRateStore({
        ...clusterServers(cluster),
        ...{ prefix, timeout: 5_000 },
        onError: () => {},
      });
      const asks = ids(MANY).map(({ key }) => ({ key, rate: 1, owed: 0, want: 0 }));
      await answered(() => store.take(asks));
      return store;
    },
    destroy: async () => {},
  };
});

test('slots are those of the server, and tags are spread evenly', async () => {
  const { port } = cluster.nodes[0]!;
  for (const key of [
    '123456789',
    'a{b}c',
    '{}x',
    '{}a{b}',
    'x{',
    '{{a}}',
    'ü{é}',
    ...makeTags('p:').map((one) => one.prefix),
  ]) {
    expect([key, slotOf(key)]).toEqual([key, Number(await cluster.cli(port, 'cluster', 'keyslot', key))]);
  }
  for (const prefix of ['postern:', 'a{', '']) {
    const tags = makeTags(prefix);
    expect(tags.map(({ slot }) => Math.floor(slot / 256))).toEqual(tags.map((_, i) => i));
  }
  expect(makeTags('{all}:')).toEqual([{ prefix: '{all}:', slot: slotOf('all') }]);
  const counts = new Array<number>(64).fill(0);
  const tags = makeTags('postern:');
  for (const { key } of ids(64_000)) counts[tagOf(key, tags)]!++;
  expect(Math.min(...counts)).toBeGreaterThan(800);
  expect(Math.max(...counts)).toBeLessThan(1200);
});

test('a prefix with a name in braces keeps all ids in one slot', async () => {
  const store = openStore({ prefix: `{${randomUUID()}}:` });
  await answering(store);
  const claims = ids(50);
  expect(await store.claim(claims, 'a')).toEqual(claims.map(() => 'claimed'));
  expect(await store.claim(claims, 'b')).toEqual(claims.map(() => 'pending'));
  await store.close();
});

describe('faults', { timeout: 60_000 }, () => {
  let store: DedupeStore;
  beforeEach(async () => {
    store = openStore({ prefix: `${randomUUID()}:`, timeout: 1_000 });
    await answering(store, MANY);
  });
  afterEach(() => store.close());

  const serverAt = (port: number) => cluster.servers.find((server) => server.port === port)!;

  /** Claims, and says what became of each id: null when it is not known. */
  async function outcomesOf(claims: ReturnType<typeof ids>, owner: string) {
    try {
      return (await store.claim(claims, owner)) as (ClaimOutcome | null)[];
    } catch (error) {
      expect(error).toBeInstanceOf(StoreUnavailable);
      return (error as StoreUnavailable).outcomes ?? claims.map(() => null);
    }
  }

  test('C33 ids follow a slot that moves to another node while they are claimed', async () => {
    const prefix = `{${randomUUID()}}:`;
    const moving = openStore({ prefix });
    await answering(moving);
    const slot = slotOf(prefix);
    const before = ids(20);
    await moving.claim(before, 'a');
    await moving.confirm(before, 'a');
    const move = await beginMove(cluster, slot, await twoPrimaries(cluster, slot));
    // Half of the keys have moved, and new ones belong to the new node. The old one redirects calls, one by one.
    await move.migrate(namesOf(prefix, before.slice(0, 10)));
    const during = ids(20);
    const mixed = before.flatMap((one, i) => [one, during[i]!]);
    expect(await moving.claim(mixed, 'b')).toEqual(before.flatMap(() => ['duplicate', 'claimed']));
    await moving.confirm(during, 'b');
    expect(await moving.claim(mixed, 'c')).toEqual(mixed.map(() => 'duplicate'));
    await move.migrate(namesOf(prefix, before.slice(10)));
    await move.finish();
    const after = ids(1);
    expect(await moving.claim([...mixed, ...after], 'd')).toEqual([
      ...mixed.map(() => 'duplicate'),
      'claimed',
    ]);
    await moving.close();
  });

  test('C33 finds nodes that leave their host out of CLUSTER SLOTS, which the Cluster of ioredis skips', async () => {
    const setEndpoint = async (type: string) => {
      for (const { port } of cluster.nodes)
        await cluster.cli(port, 'config', 'set', 'cluster-preferred-endpoint-type', type);
    };
    await setEndpoint('unknown-endpoint');
    try {
      const ours = openStore({ prefix: `${randomUUID()}:` });
      await answering(ours, MANY);
      await ours.close();
      const theirs = new IoredisCluster(cluster.nodes, { clusterRetryStrategy: () => null });
      theirs.on('error', () => {});
      await once(theirs, 'refresh');
      expect(theirs.nodes()).toEqual([]);
      theirs.disconnect();
    } finally {
      await setEndpoint('ip');
    }
  });

  test('C33 finds nodes that all have new addresses while the old ones hang, which the Cluster of ioredis keeps asking', async () => {
    /** Resolves when every node knows every node by these ports. */
    const known = (ports: number[]) => {
      const isKnown = async () => {
        const lists = cluster.nodes.map(({ port }) => cluster.cli(port, 'cluster', 'slots'));
        return (await Promise.all(lists))
          .flatMap((list) => [...list.matchAll(/127\.0\.0\.1\n(\d+)/g)])
          .every(([, port]) => ports.includes(Number(port)));
      };
      return expect.poll(isKnown, { timeout: 30_000 }).toBe(true);
    };
    const announce = async (ports: number[]) => {
      for (const [i, { port }] of cluster.nodes.entries())
        await cluster.cli(port, 'config', 'set', 'cluster-announce-port', `${ports[i]}`);
    };
    /** Gives each node another address. */
    const move = async () => {
      const relays = await Promise.all(cluster.nodes.map(({ port }) => startRelay(port)));
      const ports = relays.map(({ port }) => port);
      await announce(ports);
      await known(ports);
      return relays;
    };
    const old = await move();
    const ours = openStore({ prefix: `${randomUUID()}:`, timeout: 1_000 });
    const claims = ids(MANY);
    await answering(ours, MANY);
    await ours.claim(claims, 'a');
    for (const relay of old) relay.hang();
    const fresh = await move();
    await answering(ours, MANY);
    expect(await ours.claim(claims, 'b')).toEqual(claims.map(() => 'pending'));
    await ours.close();
    for (const { port } of cluster.nodes)
      await cluster.cli(port, 'config', 'set', 'cluster-announce-port', '0');
    for (const relay of [...old, ...fresh]) relay.close();
  });

  test('goes on after the scripts were flushed on every node, in order', async () => {
    // The nodes may have come back to their own addresses just now.
    await answering(store, MANY);
    for (const { port } of cluster.nodes) await cluster.cli(port, 'script', 'flush');
    const claims = ids(MANY);
    const [, outcomes] = await Promise.all([store.confirm(claims, 'a'), store.claim(claims, 'b')]);
    expect(outcomes).toEqual(claims.map(() => 'duplicate'));
  });

  test('C33 comes back by itself when the nodes are restarted one by one', async () => {
    for (const server of cluster.servers) {
      await server.restart();
      await outcomesOf(ids(MANY), 'a');
    }
    await answering(store, MANY);
    await cluster.whole();
    expect(await store.claim(ids(10), 'a')).toEqual(new Array(10).fill('claimed'));
  });

  test.each(['SIGKILL', 'SIGSTOP'] as const)(
    'C32 C33 a primary that goes away (%s) takes only its own ids with it, until its replica takes over',
    async (signal) => {
      const primaries = await primariesOf(cluster);
      const lost = serverAt(primaries[1]!.port);
      const stored = ids(MANY);
      await store.claim(stored, 'a');
      await store.confirm(stored, 'a');
      // Replication is asynchronous: what is not there yet is lost in the failover.
      for (const { port } of primaries) await cluster.cli(port, 'wait', '1', '5000');
      lost.kill(signal);
      let outcomes = await outcomesOf(ids(MANY), 'b');
      const unknown = outcomes.filter((outcome) => outcome === null).length;
      expect(unknown).toBeGreaterThan(MANY / 5);
      expect(unknown).toBeLessThan(MANY / 2);
      expect(outcomes.filter((outcome) => outcome === 'claimed')).toHaveLength(MANY - unknown);
      // From now on nothing waits for the node that is gone.
      await expect(store.confirm(ids(MANY), 'b')).rejects.toThrow(/no answer|lost|ECONN/);
      await answering(store, MANY);
      outcomes = await outcomesOf(stored, 'c');
      expect(outcomes).toEqual(stored.map(() => 'duplicate'));
      if (signal === 'SIGKILL') await lost.restart();
      else lost.kill('SIGCONT');
      // It comes back as a replica of the one that took over, which may be the next to go.
      await expect
        .poll(() => cluster.cli(lost.port, 'info', 'replication'), { timeout: 30_000 })
        .toMatch(/role:slave/);
      await cluster.whole();
      expect(await outcomesOf(stored, 'd')).toEqual(stored.map(() => 'duplicate'));
    },
  );
});

/** Another port of a server, which can hang: connections stay, and nothing comes through. */
async function startRelay(to: number) {
  const sockets = new Set<Socket>();
  let hangs = false;
  const server = createServer((socket) => {
    const target = connect(to, '127.0.0.1');
    for (const one of [socket, target]) {
      sockets.add(one);
      one.on('error', () => {});
    }
    if (hangs) return;
    socket.pipe(target).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    hang(): void {
      hangs = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    close(): void {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
