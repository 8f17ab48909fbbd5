import { isToken } from '../core/bearer.ts';
import { printable } from '../core/printable.ts';
import { UsageError } from './command-line.ts';
import type { AdminCommandLine } from './config-file.ts';

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

/** `postern workflows list`. Resolves with false when the dispatcher refused, as all commands here. */
export async function listWorkflows(line: AdminCommandLine): Promise<boolean> {
  const { values, print } = line;
  const [wanted] = line.args;
  const { status, body } = await ask(line, 'GET', '/workflows');
  if (status !== 200) return refused(print, status, body);
  const { workflows } = body as { workflows: { name: string; count: number; instances: Listed[] }[] };
  const found = workflows.filter(({ name }) => wanted === undefined || name === wanted);
  if (wanted !== undefined && found.length === 0) throw new UsageError(`no workflow ${wanted} runs there`);
  print(values.json ? JSON.stringify(found) : found.map(listText).join('\n'));
  return true;
}

/** `postern workflows show`. */
export async function showWorkflow(line: AdminCommandLine): Promise<boolean> {
  const { args, values, print } = line;
  const { status, body } = await ask(line, 'GET', instancePath(args));
  if (status >= 300) return refused(print, status, body);
  print(values.json ? JSON.stringify(body) : showText(body as Shown));
  return true;
}

/** `postern workflows retry` and `cancel`. */
export async function changeWorkflow(line: AdminCommandLine, action: 'retry' | 'cancel'): Promise<boolean> {
  const { args, values, print } = line;
  const { status, body } = await ask(line, 'POST', instancePath(args, `/${action}`));
  if (status >= 300) return refused(print, status, body);
  print(values.json ? JSON.stringify(body) : `${action} of ${printable(args[1]!)} is noted`);
  return true;
}

/** The id is in the query, because in a path an id such as `..` would name something else. */
function instancePath([workflow, id]: string[], action = ''): string {
  return `/workflows/${encodeURIComponent(workflow!)}${action}?id=${encodeURIComponent(id!)}`;
}

function adminUrl({ values: { admin }, config }: AdminCommandLine): string {
  if (admin !== undefined) {
    if (!URL.canParse(admin)) throw new UsageError(`--admin must be a URL, not ${admin}`);
    return admin.replace(/\/+$/, '');
  }
  // Without --admin there is a config.
  const { host, port } = config!.admin.listen;
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

/** Without --token the config's first token that may operate, else its first one. */
function adminToken({ values: { token }, config }: AdminCommandLine): string | null {
  const { read = [], operate = [] } = config?.admin.tokens ?? {};
  const found = token?.trim() || operate[0] || read[0] || null;
  // Node's own error for such a header would repeat the token.
  if (found !== null && !isToken(found))
    throw new UsageError('the token must be 1 to 4096 visible ASCII characters without spaces');
  return found;
}

async function ask(
  line: AdminCommandLine,
  method: 'GET' | 'POST',
  path: string,
): Promise<{ status: number; body: unknown }> {
  const url = `${adminUrl(line)}${path}`;
  const token = adminToken(line);
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  if (method === 'POST') headers['content-type'] = 'application/json';
  const response = await fetch(url, { method, headers, body: method === 'POST' ? '{}' : null }).catch(
    ({ cause, message }: Error) => {
      throw new UsageError(
        `nobody answers at ${new URL(url).origin}: ${cause instanceof Error ? cause.message : message}; set --admin for another dispatcher`,
      );
    },
  );
  const { status } = response;
  const body: unknown = await response.json().catch(() => null);
  if (body === null && status < 300)
    throw new UsageError(`the server at ${new URL(url).origin} is not a Postern`);
  return { status, body };
}

const TOKEN_HINT =
  "the token comes from --token, else from POSTERN_ADMIN_TOKEN, else from the config's admin.tokens";

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
