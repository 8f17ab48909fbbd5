import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../random.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';

const POLICIES = [
  'allkeys-lru',
  'allkeys-random',
  'volatile-lru',
  'volatile-random',
  'volatile-ttl',
] as const;

export const redisEviction: Scenario = {
  name: 'redis-eviction',
  about: 'Redis has too little memory and drops ids before their time, by each of its policies',
  rounds: 3,
  round: async (stage, random) => {
    const { redisCli } = stage.platform;
    const policy = random.pick(POLICIES);
    const before = await read(stage, 'stats', 'evicted_keys');
    const from = Date.now();
    await stage.fault(
      `redis evicts, ${policy}`,
      null,
      random.between(500, 4_000),
      async () => {
        const limit = Math.round(
          (await read(stage, 'memory', 'used_memory')) - random.next() * (await kept(stage)),
        );
        await redisCli('config', 'set', 'maxmemory-policy', policy, 'maxmemory', String(limit));
      },
      async () => {
        await unlimited(stage);
        stage.troubles.push({ what: 'redis evicts', from, to: Date.now() });
        const dropped = (await read(stage, 'stats', 'evicted_keys')) - before;
        stage.faults.set('ids evicted', (stage.faults.get('ids evicted') ?? 0) + dropped);
      },
    );
  },
};

export const redisMemory: Scenario = {
  name: 'redis-memory',
  about: 'Redis has no memory left and takes no writes (noeviction); events go on unchecked (outage: accept)',
  rounds: 3,
  round: (stage, random) => fill(stage, random),
};

/** At once, or after some more ids. */
async function fill(stage: Stage, random: Random): Promise<void> {
  const room = random.pick([0, random.between(10_000, 100_000)]);
  await stage.fault(
    room === 0 ? 'redis out of memory' : 'redis runs out of memory',
    'redis',
    random.between(500, 4_000),
    async () => {
      const limit = Math.max(1, room === 0 ? 0 : (await read(stage, 'memory', 'used_memory')) + room);
      await stage.platform.redisCli('config', 'set', 'maxmemory', String(limit));
    },
    () => unlimited(stage),
  );
}

export const redisScripts: Scenario = {
  name: 'redis-scripts',
  about: 'the scripts in Redis are flushed again and again; nobody is to notice',
  rounds: 3,
  round: async (stage, random) => {
    for (let flushes = random.between(3, 10); flushes > 0; flushes--) {
      const mode = random.pick(['sync', 'async']);
      await stage.fault(
        'scripts flushed',
        null,
        0,
        async () => void (await stage.platform.redisCli('script', 'flush', mode)),
        () => {},
      );
      await sleep(random.between(0, 200));
    }
  },
};

async function unlimited({ platform }: Stage): Promise<void> {
  await platform.redisCli('config', 'set', 'maxmemory', '0', 'maxmemory-policy', 'noeviction');
}

/** Bytes that all keys take. */
function kept(stage: Stage): Promise<number> {
  return read(stage, 'memory', 'used_memory_dataset');
}

async function read({ platform }: Stage, section: string, name: string): Promise<number> {
  const text = await platform.redisCli('info', section);
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)![1]);
}
