import { printable, UsageError } from './command-line.ts';
import type { Config } from './config.ts';

export interface WorkflowsCommand {
  config: Config;
  action: string | undefined;
  workflow: string | undefined;
  id: string | undefined;
  /** URL of a dispatcher's admin port; default: that of the config. */
  admin: string | undefined;
  json: boolean;
  print(text: string): void;
}

interface Listed {
  id: string;
  status: string;
  began: string;
  at: { step: string; state: string; since: string }[];
  failure: { step: string | null; reason: string } | null;
}

interface Shown {
  id: string;
  status: string;
  outcome: string | null;
  began: string;
  steps: Record<string, { state: string; since: string }>;
  failure: { step: string | null; reason: string; detail: string } | null;
  input: unknown;
  results: Record<string, unknown>;
}

/** `postern workflows`: list, show, retry or cancel. Resolves with false when something is wrong that was printed. */
export async function workflowsCommand(command: WorkflowsCommand): Promise<boolean> {
  const { action, workflow, id, json, print } = command;
  const base = adminUrl(command);
  if (action === 'list') {
    if (id !== undefined) throw new UsageError('workflows list takes no instance');
    const { status, body } = await ask(`${base}/workflows`, 'GET');
    if (status !== 200) return refused(print, status, body);
    const { workflows } = body as { workflows: { name: string; count: number; instances: Listed[] }[] };
    const wanted = workflows.filter(({ name }) => workflow === undefined || name === workflow);
    if (workflow !== undefined && wanted.length === 0)
      throw new UsageError(`no workflow ${workflow} runs there`);
    print(json ? JSON.stringify(wanted) : wanted.map(listText).join('\n'));
    return true;
  }
  if (action !== 'show' && action !== 'retry' && action !== 'cancel')
    throw new UsageError('workflows needs one of list, show, retry and cancel');
  if (workflow === undefined || id === undefined)
    throw new UsageError(`workflows ${action} needs the workflow and the instance: ${action} order o-1`);
  const url = `${base}/workflows/${encodeURIComponent(workflow)}`;
  const isShow = action === 'show';
  // In the query, as in a path an id such as `..` would name something else.
  const of = `?id=${encodeURIComponent(id)}`;
  const { status, body } = await ask(isShow ? url + of : `${url}/${action}${of}`, isShow ? 'GET' : 'POST');
  if (status >= 300) return refused(print, status, body);
  if (json) print(JSON.stringify(body));
  else print(isShow ? showText(body as Shown) : `${action} of ${printable(id)} is noted`);
  return true;
}

function adminUrl({ admin, config }: WorkflowsCommand): string {
  if (admin !== undefined) {
    if (!URL.canParse(admin)) throw new UsageError(`--admin must be a URL, not ${admin}`);
    return admin.replace(/\/+$/, '');
  }
  const { host, port } = config.admin.listen;
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

async function ask(url: string, method: 'GET' | 'POST'): Promise<{ status: number; body: unknown }> {
  const sent = method === 'GET' ? {} : { headers: { 'content-type': 'application/json' }, body: '{}' };
  try {
    const response = await fetch(url, { method, ...sent });
    return { status: response.status, body: await response.json() };
  } catch (error) {
    const { cause, message } = error as Error;
    throw new UsageError(
      `nobody answers at ${new URL(url).origin}: ${cause instanceof Error ? cause.message : message}; --admin names another dispatcher`,
    );
  }
}

function refused(print: (text: string) => void, status: number, body: unknown): false {
  print(`${status}: ${printable(String((body as { detail?: unknown }).detail ?? 'refused'))}`);
  return false;
}

function listText({ name, count, instances }: { name: string; count: number; instances: Listed[] }): string {
  const head = `${name}: ${count} instance${count === 1 ? '' : 's'} here`;
  const lines = instances.map(({ id, status, began, at, failure }) => {
    const where = at.map(({ step, state, since }) => `${step} ${state} since ${since}`).join(', ');
    const why = failure === null ? '' : `  (${[failure.step, failure.reason].filter(Boolean).join(' ')})`;
    return `  ${printable(id)}  ${status}  ${began}  ${where}${why}`;
  });
  const left = count - instances.length;
  return [head, ...lines, ...(left > 0 ? [`  and ${left} more`] : [])].join('\n');
}

function showText({ id, status, outcome, began, steps, failure, input, results }: Shown): string {
  const lines = [`${printable(id)}: ${outcome ?? status}, began ${began}`];
  for (const [name, { state, since }] of Object.entries(steps)) lines.push(`  ${name}  ${state}  ${since}`);
  if (failure !== null) {
    const { step, reason, detail } = failure;
    lines.push(`failed: ${[step, reason].filter(Boolean).join(' ')}: ${printable(detail)}`);
  }
  lines.push(`input: ${printable(JSON.stringify(input))}`);
  for (const [name, value] of Object.entries(results))
    lines.push(`result of ${name}: ${printable(JSON.stringify(value))}`);
  return lines.join('\n');
}
