import type { Result } from './run.ts';

/** A run in a few lines: what was sent and done, what came of it, and every broken promise. */
export function formatResult(result: Result): string {
  const { scenario, seed, seconds, events, requests, records, broken, folder } = result;
  const lines = [
    `${broken.length === 0 ? 'kept  ' : 'BROKEN'}  ${scenario}  (seed ${seed}, ${Math.round(seconds)} s)`,
    `  sent        ${events} events in ${requests} requests; ${records} records stored`,
    `  faults      ${list(result.faults)}`,
    `  events      ${list(result.outcomes)}`,
    `  copies      ${list(result.causes)}`,
  ];
  for (const [name, count] of result.deliveries) {
    const { wanted, delivered, again, dead } = count;
    lines.push(
      `  ${name.padEnd(10)}  wanted ${wanted}, delivered ${delivered}, again ${again}, dead letters ${dead}`,
    );
  }
  for (const line of broken) lines.push(`  ! ${line}`);
  if (folder !== null) lines.push(`  ! output of the processes: ${folder}`);
  return lines.join('\n');
}

/** All runs together. */
export function formatTotal(results: readonly Result[]): string {
  const sum = (pick: (result: Result) => number) =>
    results.reduce((total, result) => total + pick(result), 0);
  return [
    `total       ${sum(({ events }) => events)} events in ${sum(({ requests }) => requests)} requests; ${sum(({ records }) => records)} records stored`,
    `  faults      ${list(added(results.map((result) => result.faults)))}`,
    `  events      ${list(added(results.map((result) => result.outcomes)))}`,
    `  copies      ${list(added(results.map((result) => result.causes)))}`,
  ].join('\n');
}

function added<K extends string>(maps: readonly ReadonlyMap<K, number>[]): Map<K, number> {
  const total = new Map<K, number>();
  for (const counts of maps)
    for (const [name, count] of counts) total.set(name, (total.get(name) ?? 0) + count);
  return total;
}

function list(counts: ReadonlyMap<string, number>): string {
  return counts.size === 0 ? 'none' : [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
}
