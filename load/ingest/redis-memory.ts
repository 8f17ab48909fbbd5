import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { redisDedupeStore } from '../../src/adapters/redis/dedupe-store.ts';
import { claimKey } from '../../src/ports/dedupe-store.ts';
import { startRedis } from '../../test/services/redis.ts';
import { until } from '../../test/services/until.ts';
import { type Row, rowOf } from '../report.ts';
import { cpuMicros } from '../rig/usage.ts';

const TARGET_BYTES = 100;
/** Ids in a call: as many as are in a group under load. */
const CALL = 500;
const HOUR = 3_600_000;

export const redisMemoryNames = ['redis memory'];

/** Memory that Redis takes for an id that is remembered. */
export async function redisMemoryRow(ids: number): Promise<Row> {
  const server = await startRedis();
  const redis = new Redis(server.url);
  const settings = { prefix: 'p:', timeout: 5_000, window: 24 * HOUR, lease: 30_000 };
  const store = redisDedupeStore({ url: server.url, ...settings, onError: console.error });
  const used = async () => Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
  try {
    // The store connects by itself, and refuses until it has.
    await until('the store reaches Redis', () =>
      store.claim([claimOf(-1)], 'load').then(
        () => true,
        () => false,
      ),
    );
    const before = { bytes: await used(), micros: cpuMicros(server.pid) };
    for (let from = 0; from < ids; from += CALL) {
      const claims = Array.from({ length: Math.min(CALL, ids - from) }, (_, i) => claimOf(from + i));
      await store.claim(claims, 'load');
      await store.confirm(claims, 'load');
    }
    const bytes = ((await used()) - before.bytes) / ids;
    return rowOf('redis memory', 'bytes/id', [[bytes, null]], {
      target: TARGET_BYTES,
      more: { ids, 'us/id': (cpuMicros(server.pid) - before.micros) / ids },
    });
  } finally {
    await store.close();
    redis.disconnect();
    await server.stop();
  }
}

function claimOf(n: number) {
  return { key: claimKey(createHash('sha256').update(`click/${n}`).digest('base64')), checksum: n };
}
