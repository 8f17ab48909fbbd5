import type { Result } from './run.ts';

/** A run in a few lines: what was sent and done, what came of it, and every broken promise. */
export function formatResult(result: Result): string {
  const { scenario, seed, seconds, events, requests, records, broken, folder } = result;
  const list = (counts: ReadonlyMap<string, number>) =>
    counts.size === 0 ? 'none' : [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
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
