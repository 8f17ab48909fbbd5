import type { Attack } from './attacks.ts';
import type { Figures, Seen } from './figures.ts';

/** What the gateway promises while it is attacked. */
const MOST_MIB = 512;
const TIMES_SLOWER = 5;
const SLOWEST_MS = 1000;
const LIVEZ_MS = 250;
const ALONE_MS = 50;
/** Few milliseconds times five is less than what another program on this machine costs. */
const FLOOR_MS = 100;
/** Replies that say that there is no room; `none` is a connection that was closed. */
const NO_ROOM = new Set(['408', '429', '503', 'none']);

export interface Fault {
  text: string;
  /** A time: another program on this machine may be the cause of one. */
  timed: boolean;
}

/** Which promises an attack broke. */
export function judge(attack: Attack, figures: Figures, quiet: Seen): Fault[] {
  const faults: Fault[] = [];
  const broken = (is: boolean, text: string, timed = false) => {
    if (is) faults.push({ text, timed });
  };
  const { died, left, alone } = figures;
  const slow = Math.min(SLOWEST_MS, Math.max(FLOOR_MS, TIMES_SLOWER * quiet.p99));
  broken(died !== null, `the process ended: ${died}`);
  broken(figures.memory > MOST_MIB, `memory ${figures.memory.toFixed(0)} MiB, over ${MOST_MIB}`);
  broken(
    Object.keys(figures.failed).length > 0,
    `the good client was answered ${JSON.stringify(figures.failed)}`,
  );
  broken(figures.requests === 0, 'the good client sent nothing');
  broken(
    figures.p99 > slow,
    `the good client's p99 is ${figures.p99.toFixed(0)} ms, over ${slow.toFixed(0)}`,
    true,
  );
  broken(figures.livez > LIVEZ_MS, `/livez took ${figures.livez.toFixed(0)} ms, over ${LIVEZ_MS}`, true);
  broken(figures.livezFailed > 0, `/livez failed ${figures.livezFailed} times`);
  broken(left.length > 0, `not as before in the end: ${left.join(', ')}`);
  if (alone !== null) {
    const most = ALONE_MS + (quiet.loop ?? 0);
    broken(
      alone > most,
      `one request held up the others for ${alone.toFixed(0)} ms, over ${most.toFixed(0)}`,
      true,
    );
  }
  for (const text of wrongReplies(attack, figures)) broken(true, text);
  return faults;
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
