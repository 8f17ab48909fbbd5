import type { Statuses } from './attacker.ts';
import type { Sample } from './client.ts';

/** Measurements of the good client and the probe over some time. */
export interface Seen {
  requests: number;
  p50: number;
  p99: number;
  /** The slowest of each path. */
  slowest: Record<string, number>;
  /** Statuses other than 2xx, with how often each came; 0: no reply. */
  failed: Record<string, number>;
  /** The slowest, and how many were not answered 200. */
  livez: number;
  livezFailed: number;
  /** Milliseconds that the event loop stood still at most; null when the process could not tell. */
  loop: number | null;
}

/** The effects of one attack. */
export interface Figures extends Seen {
  attack: string;
  seconds: number;
  /** MiB at the peak. */
  memory: number;
  /** Milliseconds that the loop stood still when each request came alone; null when that was not tried. */
  alone: number | null;
  /** Replies to the attacker, by route and status. */
  statuses: Statuses;
  /** Why the process ended, or null. */
  died: string | null;
  /** Milliseconds until all was as before; null when it was not within the limit. */
  recovered: number | null;
  /** Everything that was not as before in the end. */
  left: string[];
}

export function seenIn(requests: Sample[], livez: Sample[], loop: number | null): Seen {
  const times = requests.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (q: number) => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? 0;
  const slowest: Record<string, number> = {};
  for (const { path, ms } of requests) slowest[path] = Math.max(slowest[path] ?? 0, Math.round(ms));
  const failed: Record<string, number> = {};
  for (const { status } of requests)
    if (status < 200 || status > 299) failed[status] = (failed[status] ?? 0) + 1;
  return {
    requests: requests.length,
    p50: at(0.5),
    p99: at(0.99),
    slowest,
    failed,
    livez: Math.max(0, ...livez.map(({ ms }) => ms)),
    livezFailed: livez.filter(({ status }) => status !== 200).length,
    loop,
  };
}

const ms = (value: number | null) => (value === null ? '?' : value.toFixed(0));
const counts = (value: Record<string, number>) =>
  Object.entries(value)
    .map(([status, count]) => `${status} x${count}`)
    .join(' ');

/** The times of an attack in one line. */
export function timesOf({ attack, p50, p99, livez, loop, recovered }: Figures): string {
  return `${attack}: p50 ${ms(p50)} ms, p99 ${ms(p99)} ms, /livez ${ms(livez)} ms, event loop ${ms(loop)} ms, as before after ${ms(recovered)} ms`;
}

/** All figures of an attack, to find out why it is not held off. */
export function described(figures: Figures, quiet: Seen | null): string {
  const { statuses, left } = figures;
  const without = (value: number | null | undefined) =>
    value === undefined ? '' : ` (quiet ${ms(value)} ms)`;
  return [
    `${figures.attack}: ${figures.seconds} s, memory ${figures.memory.toFixed(0)} MiB at the peak`,
    `good client: ${figures.requests} requests, p50 ${ms(figures.p50)} ms, p99 ${ms(figures.p99)} ms${without(quiet?.p99)}, failed: ${counts(figures.failed) || 'none'}; slowest: ${JSON.stringify(figures.slowest)}`,
    `/livez: slowest ${ms(figures.livez)} ms${without(quiet?.livez)}, failed ${figures.livezFailed}`,
    `event loop: stood still ${ms(figures.loop)} ms${without(quiet?.loop)}, one request alone ${ms(figures.alone)} ms`,
    `as before after ${ms(figures.recovered)} ms${left.length > 0 ? `; not: ${left.join(', ')}` : ''}`,
    ...(figures.died === null ? [] : [`the process ended: ${figures.died}`]),
    `the attacker's replies: ${Object.entries(statuses)
      .map(([route, found]) => `${route} [${counts(found)}]`)
      .join(', ')}`,
  ].join('\n  ');
}

/** The head of the table that `rowOf` fills. */
export const HEAD = [
  'attack',
  'held off',
  'MiB',
  'p99 ms',
  'failed',
  'livez ms',
  'loop ms',
  'alone ms',
  'as before ms',
  'end',
];

export function rowOf(figures: Figures, faults: string[]): string[] {
  const { requests, failed, died } = figures;
  const lost = Object.values(failed).reduce((sum, count) => sum + count, 0);
  return [
    figures.attack,
    faults.length === 0 ? 'yes' : 'no',
    figures.memory.toFixed(0),
    ms(figures.p99),
    `${lost} of ${requests}`,
    ms(figures.livez),
    ms(figures.loop),
    figures.alone === null ? '' : ms(figures.alone),
    ms(figures.recovered),
    died ?? '',
  ];
}
