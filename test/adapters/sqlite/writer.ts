import { writeSync } from 'node:fs';
import { sqliteEventLog } from '../../../src/adapters/sqlite/event-log.ts';

/**
 * A process that appends groups of records until it is killed or an append fails, and tells of each group
 * on its standard output: `start N SIZE` before, `stored N` or `failed N` after. Argument: the folder.
 */
const [path] = process.argv.slice(2) as [string];
const log = sqliteEventLog({
  path,
  retention: { age: 60_000_000, size: 2 ** 40 },
  onError: (error) => {
    throw error;
  },
});
// Written at once, so that nothing that was told is lost with the process.
const tell = (line: string) => writeSync(1, `${line}\n`);

for (let group = 0, failed = false; !failed; group++) {
  const size = 1 + ((group * 7) % 40);
  const records = Array.from({ length: size }, (_, i) => ({
    topic: i % 2 === 0 ? 'a' : 'b',
    key: null,
    value: Buffer.alloc(((group * 31 + i * 17) % 5) * 700 + 20, `${group}:${size};`),
    headers: { group: String(group), size: String(size) },
  }));
  tell(`start ${group} ${size}`);
  const verdicts = await log.append(records);
  failed = verdicts.some((verdict) => verdict !== 'stored');
  tell(`${verdicts.every((verdict) => verdict === 'failed') ? 'failed' : 'stored'} ${group}`);
}

const problem = log.problem();
tell(`problem ${problem}`);
// Goes on when there is room again.
process.stdin.once('data', async () => {
  while (log.problem() !== null) await new Promise((resolve) => setImmediate(resolve));
  const verdicts = await log.append([{ topic: 'after', key: null, value: null, headers: {} }]);
  tell(`after ${verdicts[0]}`);
  await log.close();
  process.exit(0);
});
