import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../services/free-port.ts';

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

/** Starts `postern serve` (or another command) on a project; resolves when its /readyz says so, or with `early` when it listens. `main` is another program than ours; `files` is how many file descriptors it may have. */
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
  await new Promise<void>((resolve, reject) => {
    let isReady = false;
    const onData = (bytes: Buffer) => {
      output += bytes.toString();
      if (isReady || !output.includes('"msg":"ready"')) return;
      isReady = true;
      resolve();
    };
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    void exited.then((code) => reject(new Error(`postern ended with ${code}:\n${output}`)));
  });
  const admin = `http://127.0.0.1:${project.adminPort}`;
  while (!options.early && (await fetch(`${admin}/readyz`)).status !== 200) await sleep(20);
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
