import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqliteEventLog } from '../../../src/adapters/sqlite/event-log.ts';
import { logReaderContract } from '../../contracts/log-reader.ts';

logReaderContract('SQLite', async () => {
  const path = await mkdtemp(join(tmpdir(), 'postern-log-'));
  const log = sqliteEventLog({
    path,
    retention: { age: 60_000_000, size: 2 ** 40 },
    onError(error) {
      throw error;
    },
  });
  return { log, reader: log, destroy: () => rm(path, { recursive: true }) };
});
