import type { Attack } from './attacks.ts';
import type { Figures, Seen } from './figures.ts';

/** The gateway's promises while it is attacked. */
const MOST_MIB = 512;
const TIMES_SLOWER = 5;
const SLOWEST_MS = 1000;
const LIVEZ_MS = 250;
const ALONE_MS = 50;
/** Few milliseconds times five is less than what another program on this machine costs. */
const FLOOR_MS = 100;
/** Replies that say that there is no room; `none` is a connection that was closed. */
const NO_ROOM = new Set(['408', '429', '503', 'none']);

/** The promises that an attack broke. Times are judged where those without an attack are known. */
export function judge(attack: Attack, figures: Figures, quiet: Seen | null): string[] {
  const { died, left, memory, failed, requests, livezFailed } = figures;
  const faults: string[] = [];
  if (died !== null) faults.push(`the process ended: ${died}`);
  if (memory > MOST_MIB) faults.push(`memory ${memory.toFixed(0)} MiB, over ${MOST_MIB}`);
  if (Object.keys(failed).length > 0) faults.push(`the good client was answered ${JSON.stringify(failed)}`);
  if (requests === 0) faults.push('the good client sent nothing');
  if (livezFailed > 0) faults.push(`/livez failed ${livezFailed} times`);
  if (left.length > 0) faults.push(`not as before in the end: ${left.join(', ')}`);
  if (quiet !== null) faults.push(...slowness(figures, quiet));
  return [...faults, ...wrongReplies(attack, figures)];
}

/** The times that are over their bounds. Another program on the machine may be the cause. */
function* slowness({ p99, livez, alone }: Figures, quiet: Seen): Iterable<string> {
  const slow = Math.min(SLOWEST_MS, Math.max(FLOOR_MS, TIMES_SLOWER * quiet.p99));
  if (p99 > slow) yield `the good client's p99 is ${p99.toFixed(0)} ms, over ${slow.toFixed(0)}`;
  if (livez > LIVEZ_MS) yield `/livez took ${livez.toFixed(0)} ms, over ${LIVEZ_MS}`;
  const most = ALONE_MS + (quiet.loop ?? 0);
  if (alone !== null && alone > most)
    yield `one request held up the others for ${alone.toFixed(0)} ms, over ${most.toFixed(0)}`;
}

/** Replies that no stranger should have got. */
function* wrongReplies({ routes, only }: Attack, { statuses }: Figures): Iterable<string> {
  for (const route of routes) {
    for (const status of Object.keys(statuses[route.name] ?? {})) {
      const wrong = only === undefined ? !route.open && status.startsWith('2') : status !== only;
      if ((wrong && !NO_ROOM.has(status)) || status === '500') yield `${route.name} was answered ${status}`;
    }
  }
}
