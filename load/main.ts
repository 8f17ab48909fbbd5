// `npm run load`: what an event costs, as one table. `npm run load -- NAME`: one measurement. `npm run load -- help`: their names.
import { filters } from './dispatch/filters.ts';
import { order } from './dispatch/order.ts';
import { down } from './faults/down.ts';
import { hostile } from './faults/hostile.ts';
import { outage } from './faults/outage.ts';
import { poison } from './faults/poison.ts';
import { stall } from './faults/stall.ts';
import { scale } from './growth/scale.ts';
import { soak } from './growth/soak.ts';
import type { Run } from './run.ts';
import { streams } from './streams/streams.ts';
import { dispatch, ingest, table } from './table.ts';

const runs: Record<string, Run> = {
  ingest,
  dispatch,
  streams,
  filters,
  outage,
  stall,
  order,
  down,
  poison,
  soak,
  scale,
  hostile,
};

// The programs that a measurement starts end with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const [first = '', ...rest] = process.argv.slice(2);
if (['help', '--help', '-h'].includes(first)) console.log(help());
else if (first === '' || first.startsWith('-')) await start(table, process.argv.slice(2));
else if (Object.hasOwn(runs, first)) await start(runs[first]!, rest);
else {
  console.error(`there is no measurement ${first}; there are:\n${help()}`);
  process.exitCode = 1;
}

async function start(run: Run, args: string[]): Promise<void> {
  if (!(await run.start(args))) process.exitCode = 1;
}

function help(): string {
  const lines = Object.entries({ '': table, ...runs }).map(([name, { about, options }]) => {
    const flags = Object.entries(options).map(([flag, { default: value }]) =>
      value === undefined || value === false ? `--${flag}` : `--${flag} ${value}`,
    );
    return `${(name || '(none)').padEnd(9)} ${about}\n${' '.repeat(10)}${flags.join(' ')}`;
  });
  return `npm run load -- NAME --option value\n\n${lines.join('\n')}`;
}
