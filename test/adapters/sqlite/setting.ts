import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqliteEventLog } from '../../../src/adapters/sqlite/event-log.ts';

/** A retention that deletes nothing. */
export const keepAll = { age: 60_000_000, size: 2 ** 40 };

export const makeFolder = () => mkdtemp(join(tmpdir(), 'postern-sqlite-'));

/** Fails the test. */
export const onError = (error: Error) => {
  throw error;
};

/** A log that deletes nothing, in this folder. */
export const openLog = (path: string) => sqliteEventLog({ path, retention: keepAll, onError });
