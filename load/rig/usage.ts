import { readFileSync } from 'node:fs';
import type { Outcome } from '../client/scenario.ts';

/** CPU time (user and system, all threads) of a process in microseconds, from /proc. */
export function cpuMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // utime and stime count in ticks of 1/100 s on every Linux that Node runs on.
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Resident memory of a process in MiB. */
export function rssMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

/** Runs a scenario. `micros`: CPU of each process while it ran, in microseconds per event. */
export async function timed(
  pids: readonly number[],
  run: () => Promise<Outcome>,
): Promise<{ outcome: Outcome; micros: number[] }> {
  const before = pids.map(cpuMicros);
  const outcome = await run();
  return { outcome, micros: pids.map((pid, i) => (cpuMicros(pid) - before[i]!) / outcome.events) };
}
