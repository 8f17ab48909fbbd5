// `npm run attack`: every attack on a real process, longer than in the tests, and each on each of its routes alone.
import { parseArgs } from 'node:util';
import { markdown } from '../../load/report.ts';
import { type Attack, attacks } from './attacks.ts';
import { described, HEAD, rowOf } from './figures.ts';
import { judge } from './judge.ts';
import type { Stores } from './project.ts';
import { Stage } from './stage.ts';

const { values: options } = parseArgs({
  options: {
    /** Part of the name of attacks; may be given several times; default: all. */
    only: { type: 'string', multiple: true },
    list: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '10' },
    /** To all routes of an attack at once, as in the tests, in place of one after the other. */
    together: { type: 'boolean', default: false },
    /** Addresses that the attacker has. */
    addresses: { type: 'string', default: '1' },
    /** With both, on Kafka and Redis; default: the embedded stores. */
    brokers: { type: 'string' },
    redis: { type: 'string' },
  },
});

// Its processes end with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const chosen = attacks.filter(({ name }) => options.only?.some((part) => name.includes(part)) ?? true);
if (options.list) {
  for (const { name, routes } of chosen)
    console.log(`${name.padEnd(44)} ${routes.map((route) => route.name).join(', ')}`);
} else {
  const rows: string[][] = [];
  for (const [project, some] of Map.groupBy(chosen, ({ project }) => project ?? 'full'))
    rows.push(...(await runAll(project, some)));
  console.log(`\n${markdown([HEAD, ...rows])}`);
  if (rows.some(([, held]) => held === 'no')) process.exitCode = 1;
}

async function runAll(project: 'full' | 'bare', some: Attack[]): Promise<string[][]> {
  const stores: Stores = {};
  if (options.brokers !== undefined) stores.brokers = options.brokers;
  if (options.redis !== undefined) stores.redis = options.redis;
  const rows: string[][] = [];
  const stage = await Stage.start({ project, timed: true, stores, addresses: Number(options.addresses) });
  try {
    for (const attack of some) {
      for (const routes of options.together ? [undefined] : attack.routes.map(({ name }) => [name])) {
        const seconds = Number(options.seconds);
        const figures = await stage.run(attack, { seconds, ...(routes === undefined ? {} : { routes }) });
        const faults = judge(attack, figures, stage.quiet);
        rows.push(rowOf(figures, faults));
        console.log(described(figures, stage.quiet));
        for (const text of faults) console.log(`  BROKEN: ${text}`);
      }
    }
  } finally {
    await stage.stop();
  }
  return rows;
}
