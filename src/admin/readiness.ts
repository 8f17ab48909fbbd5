import { formatProblem, type Problem } from '../core/problem.ts';

/** What readiness depends on. Each function names the problem, or gives null. */
export interface ReadinessParts {
  /** True after the signal to stop. */
  stopping(): boolean;
  log(): string | null;
  /** Events that wait on disk for the log; null without a spool. */
  spool(): { events: number; bytes: number; problem(): string | null } | null;
  dedupe(): string | null;
  dispatcher(): string | null;
  descriptors(): string | null;
  /** While the dedupe store is down, events are stored unchecked (accept) or not at all (refuse). */
  outage: 'accept' | 'refuse';
  /** Problems of the schema files as last read. The last good schemas stay in use. */
  schemas(): Problem[];
}

export interface Health {
  state: 'ok' | 'degraded' | 'down' | 'stopping';
  /** False: this process must get no requests. */
  ready: boolean;
  parts: Record<'log' | 'dedupe' | 'schemas' | 'dispatcher' | 'descriptors', Part>;
}

interface Part {
  state: 'ok' | 'degraded' | 'down';
  detail?: string | string[];
}

/** The answer of /readyz. */
export function health(parts: ReadinessParts): Health {
  const found = partsOf(parts);
  const down = parts.stopping() || Object.values(found).some(({ state }) => state === 'down');
  const degraded = Object.values(found).some(({ state }) => state === 'degraded');
  const state = parts.stopping() ? 'stopping' : down ? 'down' : degraded ? 'degraded' : 'ok';
  return { state, ready: !down, parts: found };
}

function partsOf(parts: ReadinessParts): Health['parts'] {
  const schemas = parts.schemas().filter(({ level }) => level === 'error');
  return {
    log: logPart(parts),
    dedupe: part(parts.dedupe(), parts.outage === 'accept' ? 'degraded' : 'down'),
    schemas:
      schemas.length === 0 ? { state: 'ok' } : { state: 'degraded', detail: schemas.map(formatProblem) },
    dispatcher: part(parts.dispatcher(), 'down'),
    descriptors: part(parts.descriptors(), 'down'),
  };
}

/** With a spool the log may be down, because events are still stored. */
function logPart({ log, spool }: Pick<ReadinessParts, 'log' | 'spool'>): Part {
  const spooled = spool();
  const problem = log();
  if (spooled === null) return part(problem, 'down');
  const full = spooled.problem();
  if (full !== null) return part(full, 'down');
  if (problem === null && spooled.events === 0) return { state: 'ok' };
  const waiting = `${spooled.events} events (${spooled.bytes} bytes) wait in the spool`;
  return part(problem === null ? waiting : `${problem}; ${waiting}`, 'degraded');
}

function part(detail: string | null, state: Part['state']): Part {
  return detail === null ? { state: 'ok' } : { state, detail };
}
