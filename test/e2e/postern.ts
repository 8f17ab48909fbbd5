import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../services/free-port.ts';
import { until } from '../services/until.ts';

/** A real `postern` process. */
export interface Postern {
  url: string;
  admin: string;
  pid: number;
  /** Standard output and standard error so far. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with the exit code, or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals | null>;
}

export interface PosternOptions {
  /** The config without its listen addresses. */
  yaml: string;
  schemas?: Record<string, unknown>;
  command?: string[];
  /** Arguments for Node itself. */
  node?: string[];
}

export const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');

/** A folder with a config and schemas, gone after the test run's process. */
export async function makeProject(options: PosternOptions) {
  const folder = await mkdtemp(join(tmpdir(), 'postern-e2e-'));
  const [port, adminPort] = [await freePort(), await freePort()];
  await mkdir(join(folder, 'schemas'));
  for (const [name, schema] of Object.entries(options.schemas ?? {})) {
    await writeFile(join(folder, 'schemas', `${name}.json`), JSON.stringify(schema));
  }
  const yaml = options.yaml.replaceAll('{folder}', folder);
  const gateway = yaml.includes('\ngateway:')
    ? yaml.replace('\ngateway:', `\ngateway:\n  listen: 127.0.0.1:${port}`)
    : `${yaml}\ngateway:\n  listen: 127.0.0.1:${port}\n`;
  const config = join(folder, 'postern.yaml');
  const admin = gateway.includes('\nadmin:')
    ? gateway.replace('\nadmin:', `\nadmin:\n  listen: 127.0.0.1:${adminPort}`)
    : `${gateway}\nadmin:\n  listen: 127.0.0.1:${adminPort}\n`;
  await writeFile(config, admin);
  return { folder, config, port, adminPort, remove: () => rm(folder, { recursive: true, force: true }) };
}

export type Project = Awaited<ReturnType<typeof makeProject>>;

/**
 * Starts `postern serve` (or another command) on a project. Resolves when its /readyz answers 200, or with `early` when it
 * listens. `main`: another program in place of ours; `files`: the most file descriptors that it may have.
 */
export async function startPostern(
  project: Project,
  options: Pick<PosternOptions, 'command' | 'node'> & { early?: boolean; main?: string; files?: number } = {},
): Promise<Postern> {
  const args = [
    ...(options.node ?? []),
    options.main ?? MAIN,
    ...(options.command ?? ['serve']),
    '--config',
    project.config,
  ];
  const { files } = options;
  const program =
    files === undefined
      ? [process.execPath, ...args]
      : ['bash', '-c', `ulimit -n ${files}; exec "$@"`, 'bash', process.execPath, ...args];
  const child = spawn(program[0]!, program.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  // A test that fails half-way must not leave it running.
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  let output = '';
  const exited = once(child, 'exit').then(
    ([code, signal]) => (code ?? signal) as number | NodeJS.Signals | null,
  );
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => (output += bytes.toString()));
  const admin = `http://127.0.0.1:${project.adminPort}`;
  const isReady = async () => {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`postern ended with ${await exited}:\n${output}`);
    if (!output.includes('"msg":"ready"')) return false;
    return options.early === true || (await fetch(`${admin}/readyz`)).status === 200;
  };
  await until('postern is ready', isReady, { every: 20 }).catch((error: Error) => {
    throw new Error(`${error.message}\n${output.slice(-4000)}`, { cause: error });
  });
  return {
    url: `http://127.0.0.1:${project.port}`,
    admin,
    pid: child.pid!,
    output: () => output,
    kill: (signal) => child.kill(signal),
    exited,
  };
}

/** Runs a command to its end; resolves with its code and output. */
export async function runPostern(
  args: string[],
  input?: string,
  env: Record<string, string> = {},
): Promise<{ code: number | null; output: string }> {
  const child: ChildProcess = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let output = '';
  child.stdout!.on('data', (bytes: Buffer) => (output += bytes.toString()));
  child.stderr!.on('data', (bytes: Buffer) => (output += bytes.toString()));
  child.stdin!.end(input ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}
