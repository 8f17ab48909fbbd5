import { Hono } from 'hono';
import { type AdminAccess, guard } from './guard.ts';
import { problem } from './problem.ts';
import { health, type ReadinessParts } from './readiness.ts';
import { addWorkflows, type WorkflowsControl } from './workflows.ts';

export interface AdminParts extends ReadinessParts {
  access: AdminAccess;
  /** Null while no workflows run here. */
  workflows?(): WorkflowsControl | null;
  metrics(): Promise<string>;
  contentType: string;
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
