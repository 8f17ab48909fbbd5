import type { Context, Hono } from 'hono';
import type { ActionResult } from '../core/action-result.ts';

/** An instance of a workflow, as the admin port shows it. */
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

/** The workflows of this process. It holds only some of the instances of each. */
export interface WorkflowsControl {
  names(): string[];
  list(workflow: string): SeenInstance[] | null;
  find(workflow: string, id: string): SeenInstance | null;
  retry(workflow: string, id: string): Promise<ActionResult>;
  cancel(workflow: string, id: string): Promise<ActionResult>;
}

/** Most instances of one workflow in a list. The oldest come first. */
const MAX_LISTED = 1_000;

const STATUS = { stored: 202, unknown: 404, not_now: 409, failed: 503 } as const;
const DETAIL = {
  unknown: 'this process holds no such instance; each dispatcher holds those of its own partitions',
  not_now: 'only a failed instance can be retried, and only a running or failed one can be cancelled',
  failed: 'the action could not be stored',
};

/** Adds the routes that show, retry and cancel instances. `control` returns null while no workflows run here. */
export function addWorkflows(app: Hono, control: () => WorkflowsControl | null): void {
  app.get('/workflows', (context) => {
    const workflows = control();
    const names = workflows?.names() ?? [];
    return context.json({
      workflows: names.map((name) => {
        const all = (workflows!.list(name) ?? []).sort((a, b) => a.began - b.began);
        return { name, count: all.length, instances: all.slice(0, MAX_LISTED).map(summary) };
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
  for (const action of ['retry', 'cancel'] as const) {
    const act = async (context: Context) => {
      // A page of another site can send a form without a CORS preflight, but not JSON.
      if (!/^application\/json\s*(?:;|$)/i.test(context.req.header('content-type') ?? ''))
        return problem(context, 415, 'must be sent with content-type: application/json');
      const { name, id } = instanceOf(context);
      const result = (await control()?.[action](name, id)) ?? 'unknown';
      return result === 'stored' ? context.json({ state: result }, 202) : refusal(context, result);
    };
    app.post(`/workflows/:name/${action}`, act);
    app.post(`/workflows/:name/:id/${action}`, act);
  }
}

/** An id in the query may be any text. In a path it cannot be `..`, which clients resolve. */
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

/** Null for an empty text: an ended instance no longer has its JSON. */
function parsed(text: string): unknown {
  return text === '' ? null : JSON.parse(text);
}

function refusal(context: Context, result: keyof typeof DETAIL): Response {
  return problem(context, STATUS[result], DETAIL[result]);
}

function problem(context: Context, status: 404 | 409 | 415 | 503, detail: string): Response {
  return context.body(JSON.stringify({ status, detail }), status, {
    'content-type': 'application/problem+json',
  });
}
