import type { Context, Hono } from 'hono';

/** An instance as people see it. */
interface SeenInstance {
  id: string;
  status: string;
  outcome: string | null;
  /** Milliseconds since 1970. */
  began: number;
  steps: Record<string, { state: string; since: number }>;
  failure: { step: string | null; reason: string; detail: string } | null;
  /** JSON texts. */
  input: string;
  results: Record<string, string>;
}

type Wished = 'stored' | 'unknown' | 'not_now' | 'failed';

/** The workflows that this process runs; of each it holds some of the instances. */
export interface WorkflowsControl {
  names(): string[];
  list(workflow: string): SeenInstance[] | null;
  find(workflow: string, id: string): SeenInstance | null;
  retry(workflow: string, id: string): Promise<Wished>;
  cancel(workflow: string, id: string): Promise<Wished>;
}

/** Instances of one workflow that are listed; the oldest come first. */
const LISTED = 1_000;

const STATUS = { stored: 202, unknown: 404, not_now: 409, failed: 503 } as const;
const WHY = {
  unknown: 'this process holds no such instance; each dispatcher knows those of its own partitions',
  not_now: 'only a failed instance can be tried again, only a running or failed one cancelled',
  failed: 'the wish could not be stored',
};

/** Routes for people who look after workflows. `control` gives null while no workflows run here. */
export function addWorkflows(app: Hono, control: () => WorkflowsControl | null): void {
  app.get('/workflows', (context) => {
    const workflows = control();
    const names = workflows?.names() ?? [];
    return context.json({
      workflows: names.map((name) => {
        const all = (workflows!.list(name) ?? []).sort((a, b) => a.began - b.began);
        return { name, count: all.length, instances: all.slice(0, LISTED).map(summary) };
      }),
    });
  });
  const show = (context: Context) => {
    const { name, id } = instanceOf(context);
    const instance = control()?.find(name, id) ?? null;
    return instance === null ? refusal(context, 'unknown') : context.json(whole(instance));
  };
  app.get('/workflows/:name', show);
  app.get('/workflows/:name/:id', show);
  for (const wish of ['retry', 'cancel'] as const) {
    const take = async (context: Context) => {
      // A page of another site can send a form, but no JSON, without asking first.
      if (!/^application\/json\s*(?:;|$)/i.test(context.req.header('content-type') ?? ''))
        return problem(context, 415, 'must be sent with content-type: application/json');
      const { name, id } = instanceOf(context);
      const wished = (await control()?.[wish](name, id)) ?? 'unknown';
      return wished === 'stored' ? context.json({ state: wished }, 202) : refusal(context, wished);
    };
    app.post(`/workflows/:name/${wish}`, take);
    app.post(`/workflows/:name/:id/${wish}`, take);
  }
}

/** Ids come from senders of events: `..` can be in no path, as clients take it for the folder above. */
function instanceOf(context: Context): { name: string; id: string } {
  const { name, id } = context.req.param() as { name: string; id?: string };
  return { name, id: id ?? context.req.query('id') ?? '' };
}

function summary({ id, status, began, steps, failure }: SeenInstance) {
  const at = Object.entries(steps).filter(([, { state }]) => OPEN.has(state));
  return {
    id,
    status,
    began: new Date(began).toISOString(),
    at: at.map(([step, { state, since }]) => ({ step, state, since: new Date(since).toISOString() })),
    failure: failure === null ? null : { step: failure.step, reason: failure.reason },
  };
}

const OPEN = new Set(['running', 'waiting', 'undoing', 'undo_failed']);

function whole(instance: SeenInstance) {
  const { id, status, outcome, began, failure } = instance;
  return {
    id,
    status,
    outcome,
    began: new Date(began).toISOString(),
    steps: Object.fromEntries(
      Object.entries(instance.steps).map(([name, { state, since }]) => [
        name,
        { state, since: new Date(since).toISOString() },
      ]),
    ),
    failure,
    input: parsed(instance.input),
    results: Object.fromEntries(Object.entries(instance.results).map(([name, text]) => [name, parsed(text)])),
  };
}

/** That of an instance which is over is gone. */
function parsed(text: string): unknown {
  return text === '' ? null : JSON.parse(text);
}

function refusal(context: Context, wished: keyof typeof WHY): Response {
  return problem(context, STATUS[wished], WHY[wished]);
}

function problem(context: Context, status: 404 | 409 | 415 | 503, detail: string): Response {
  return context.body(JSON.stringify({ status, detail }), status, {
    'content-type': 'application/problem+json',
  });
}
