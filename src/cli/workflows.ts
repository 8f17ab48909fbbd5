import type { Config } from '../config/config.ts';
import { isToken } from '../core/bearer.ts';
import { printable } from '../core/printable.ts';
import { UsageError } from './command-line.ts';

export interface WorkflowsCommand {
  /** Null where none is: then `admin` is needed. */
  config: Config | null;
  action: string | undefined;
  workflow: string | undefined;
  id: string | undefined;
  /** URL of a dispatcher's admin port; default: that of the config. */
  admin: string | undefined;
  /** Default: one of the config's, one that may operate first. */
  token: string | undefined;
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
  const token = adminToken(command);
  if (action === 'list') {
    if (id !== undefined) throw new UsageError('workflows list takes no instance');
    const { status, body } = await ask(`${base}/workflows`, 'GET', token);
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
  const { status, body } = await ask(
    isShow ? url + of : `${url}/${action}${of}`,
    isShow ? 'GET' : 'POST',
    token,
  );
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
  // Without --admin the config has been read.
  const { host, port } = config!.admin.listen;
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

function adminToken({ token, config }: WorkflowsCommand): string | null {
  const { read = [], operate = [] } = config?.admin.tokens ?? {};
  const found = token?.trim() || operate[0] || read[0] || null;
  // What Node says of a header that cannot be sent repeats it.
  if (found !== null && !isToken(found))
    throw new UsageError('the token must be 1 to 4096 visible ASCII characters without spaces');
  return found;
}

async function ask(
  url: string,
  method: 'GET' | 'POST',
  token: string | null,
): Promise<{ status: number; body: unknown }> {
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  if (method === 'POST') headers['content-type'] = 'application/json';
  const response = await fetch(url, { method, headers, body: method === 'POST' ? '{}' : null }).catch(
    ({ cause, message }: Error) => {
      throw new UsageError(
        `nobody answers at ${new URL(url).origin}: ${cause instanceof Error ? cause.message : message}; --admin names another dispatcher`,
      );
    },
  );
  const { status } = response;
  const body: unknown = await response.json().catch(() => null);
  if (body === null && status < 300)
    throw new UsageError(`what answers at ${new URL(url).origin} is no Postern`);
  return { status, body };
}

const TOKEN_HINT =
  "the token is that of --token, else of POSTERN_ADMIN_TOKEN, else the first of the config's admin.tokens";

function refused(print: (text: string) => void, status: number, body: unknown): false {
  const { detail = 'refused' } = (body ?? {}) as { detail?: unknown };
  print(`${status}: ${printable(String(detail))}`);
  if (status === 401) print(TOKEN_HINT);
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
