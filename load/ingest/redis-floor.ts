import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { cpuMicros } from '../rig/usage.ts';

/** Ids in a call: as many as are in a group under load. */
const CALL = 500;
const CALLS = 100;
const CLAIM = `for i = 1, #KEYS do redis.call('SET', KEYS[i], '1', 'NX', 'PX', ARGV[1]) end`;
const CONFIRM = `for i = 1, #KEYS do redis.call('SET', KEYS[i], '2', 'PX', ARGV[1]) end`;

/** The least that a claim and its confirmation cost: microseconds of Redis' CPU per id for two scripts that only set it. */
export async function redisFloor({ url, pid }: { url: string; pid: number }): Promise<number> {
  const redis = new Redis(url);
  const before = cpuMicros(pid);
  for (let call = 0; call < CALLS; call++) {
    const keys = Array.from({ length: CALL }, () => Buffer.concat([Buffer.from('f:'), randomBytes(12)]));
    await redis.eval(CLAIM, CALL, ...keys, '30000');
    await redis.eval(CONFIRM, CALL, ...keys, '60000');
  }
  redis.disconnect();
  return (cpuMicros(pid) - before) / (CALL * CALLS);
}
