import { Hono } from 'hono';
import { formatProblem, type Problem } from '../core/problem.ts';
import { type AdminAccess, guard } from './guard.ts';
import { problem } from './problem.ts';
import { addWorkflows, type WorkflowsControl } from './workflows.ts';

export interface AdminParts {
  access: AdminAccess;
  /** True after the signal to stop. */
  stopping(): boolean;
  /** The problem of the log, or null. So for `dedupe`, `dispatcher` and `descriptors`. */
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
  /** Null while no workflows run here. */
  workflows?(): WorkflowsControl | null;
  metrics(): Promise<string>;
  contentType: string;
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

/** Health, metrics and workflows, for the private port. */
export function makeAdmin(parts: AdminParts): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    context.header('cache-control', 'no-store');
    context.header('x-content-type-options', 'nosniff');
    context.header('cross-origin-resource-policy', 'same-origin');
  });
  app.get('/livez', (context) => context.json({ state: 'ok' }));
  app.get('/readyz', (context) => {
    const { ready, ...rest } = health(parts);
    return context.json(rest, ready ? 200 : 503);
  });
  app.get('/metrics', async (context) =>
    context.body(await parts.metrics(), 200, { 'content-type': parts.contentType }),
  );
  for (const path of ['/livez', '/readyz', '/metrics']) {
    app.all(path, (context) =>
      problem(context, 'method_not_allowed', 'GET and HEAD only', { allow: 'GET, HEAD' }),
    );
  }
  // The routes above have no guard: probes and Prometheus use other host names and have no token.
  app.use(guard(parts.access));
  addWorkflows(app, () => parts.workflows?.() ?? null);
  app.notFound((context) =>
    problem(context, 'not_found', 'the paths are /livez, /readyz, /metrics and /workflows'),
  );
  app.onError((error, context) => problem(context, 'internal', error.message));
  return app;
}

/** The answer of /readyz. */
export function health(parts: Omit<AdminParts, 'access' | 'metrics' | 'contentType'>): Health {
  const found = partsOf(parts);
  const down = parts.stopping() || Object.values(found).some(({ state }) => state === 'down');
  const degraded = Object.values(found).some(({ state }) => state === 'degraded');
  const state = parts.stopping() ? 'stopping' : down ? 'down' : degraded ? 'degraded' : 'ok';
  return { state, ready: !down, parts: found };
}

function partsOf(parts: Omit<AdminParts, 'access' | 'metrics' | 'contentType'>): Health['parts'] {
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
function logPart({ log, spool }: Pick<AdminParts, 'log' | 'spool'>): Part {
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
