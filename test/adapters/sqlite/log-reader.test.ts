import { rm } from 'node:fs/promises';
import { logReaderContract } from '../../contracts/log-reader.ts';
import { makeFolder, openLog } from './setting.ts';

logReaderContract('SQLite', async () => {
  const path = await makeFolder();
  const log = openLog(path);
  return { log, reader: log, destroy: () => rm(path, { recursive: true }) };
});
