import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startKafka } from '../../test/services/kafka.ts';
import { startRedis } from '../../test/services/redis.ts';
import { defineRun } from '../run.ts';
import { measureCost } from './cost.ts';
import type { StreamSetting } from './dispatcher.ts';
import { checkExact } from './exact.ts';

export const streams = defineRun({
  about:
    'what a stream costs per event and window; --exact N --kills M: whether N events make exactly their windows over kills',
  options: {
    events: { type: 'string', default: '400000' },
    keys: { type: 'string', default: '10000' },
    /** Events; in place of the costs. */
    exact: { type: 'string' },
    /** Dispatchers that are killed meanwhile. */
    kills: { type: 'string', default: '20' },
    /** As in the config, such as `{ session: 40s }`. Default: one hour, or one minute with --exact. */
    window: { type: 'string' },
    /** `redis`, or `sqlite` with one dispatcher in place of three. */
    store: { type: 'string', default: 'redis' },
  },
  async measure({ events, keys, exact, kills, window, store }) {
    const folder = await mkdtemp(join(tmpdir(), 'postern-load-'));
    const [kafka, redis] = await Promise.all([startKafka(), startRedis()]);
    const setting: StreamSetting = {
      folder,
      brokers: kafka.brokers,
      keys: Number(keys),
      window: window ?? (exact === undefined ? '{ tumbling: 1h }' : '{ tumbling: 1m }'),
      dedupe:
        store === 'sqlite'
          ? `embedded: { path: '${join(folder, 'state')}' }`
          : `redis: { url: '${redis.url}' }`,
    };
    try {
      if (exact !== undefined) {
        const dispatchers = store === 'sqlite' ? 1 : 3;
        return await checkExact(setting, { events: Number(exact), kills: Number(kills), dispatchers });
      }
      await measureCost(setting, Number(events), redis.url);
      return true;
    } finally {
      await Promise.all([kafka.stop(), redis.stop()]);
      await rm(folder, { recursive: true, force: true });
    }
  },
});
