import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { within } from './until.ts';

const run = promisify(execFile);

/** A running server on the loopback. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends the server and removes its folder. */
  stop(): Promise<void>;
  /** Sends a signal, e.g. SIGSTOP and SIGCONT (a server that hangs). */
  kill(signal: NodeJS.Signals): void;
  /** Ends the server at once and starts it again: the same port, folder and arguments. */
  restart(): Promise<void>;
  /** Resolves when the server has ended. */
  ended(): Promise<void>;
}

export interface RedisOptions {
  port?: number;
  /** Further arguments of redis-server, as on a command line. */
  args?: string[];
  /** Starts a sentinel instead, with these lines of configuration. */
  sentinel?: string[];
}

/** Starts a real redis-server without persistence on a free port of the loopback, empty. Rejects with the server's output if it does not come up. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-redis-'));
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const args = [
      ...(await modeOf(options.sentinel, folder)),
      ...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder],
      ...(options.args ?? []),
    ];
    const start = async () => {
      const child = await spawnRedis('redis-server', args);
      const output = await within('redis-server is ready', ready(child));
      return output === null ? child : output;
    };
    const child = await start();
    if (typeof child !== 'string') return handle(child, start, port, folder);
    // Somebody else may have taken the free port meanwhile.
    if (options.port === undefined && attempt < 5 && child.includes('Address already in use')) continue;
    await rm(folder, { recursive: true, force: true });
    throw new Error(`redis-server did not start:\n${child}`);
  }
}

/** The arguments that make a server without persistence, or a sentinel, which keeps what it knows in its configuration. */
async function modeOf(sentinel: string[] | undefined, folder: string): Promise<string[]> {
  if (sentinel === undefined) return ['--save', '', '--appendonly', 'no'];
  const file = join(folder, 'sentinel.conf');
  await writeFile(file, sentinel.join('\n'));
  return [file, '--sentinel'];
}

/** Starts one of the programs of Redis. */
export async function spawnRedis(
  program: 'redis-server' | 'redis-cli',
  args: string[],
): Promise<ChildProcess> {
  const { folder, libraries } = await findServer();
  const env = libraries === null ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries };
  return spawn(join(folder, program), args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

function handle(
  first: ChildProcess,
  start: () => Promise<ChildProcess | string>,
  port: number,
  folder: string,
): RedisServer {
  let child = first;
  // A server must not outlive a test run that was cut short.
  const orphan = () => child.kill('SIGKILL');
  process.on('exit', orphan);
  const ended = async () => {
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  };
  // Nothing is worth a clean end here, and a stopped process takes no other signal.
  const end = () => {
    child.kill('SIGKILL');
    return ended();
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return child.pid!;
    },
    kill: (signal) => {
      child.kill(signal);
    },
    ended,
    async restart() {
      await end();
      const next = await start();
      if (typeof next === 'string') throw new Error(`redis-server did not start again:\n${next}`);
      child = next;
    },
    async stop() {
      process.off('exit', orphan);
      await end();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves to null when the server accepts connections, or to its output when it ended instead. */
function ready(child: ChildProcess): Promise<string | null> {
  return new Promise((settle, reject) => {
    let output = '';
    const read = (chunk: Buffer) => {
      output += chunk;
      if (!/Ready to accept connections|Sentinel ID is/.test(output)) return;
      child.stdout!.off('data', read).resume();
      child.stderr!.off('data', read).resume();
      settle(null);
    };
    child.stdout!.on('data', read);
    child.stderr!.on('data', read);
    child.once('error', reject);
    child.once('close', () => settle(output));
  });
}

async function findServer(): Promise<{ folder: string; libraries: string | null }> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const has = (program: string) => existsSync(join(folder, program));
    if (folder !== '' && has('redis-server') && has('redis-cli')) return { folder, libraries: null };
  }
  const root = resolve('.cache/redis');
  if (!existsSync(root)) await fetchServer(root);
  const libraries = await foldersOfLibraries(join(root, 'usr/lib'));
  return { folder: join(root, 'usr/bin'), libraries: libraries.join(delimiter) };
}

/** Unpacks the distribution's own packages into `root`: nothing is installed, and no rights are needed. */
async function fetchServer(root: string): Promise<void> {
  if (!existsSync('/usr/bin/apt-get')) throw new Error('redis-server is not on the PATH: install Redis');
  await mkdir(dirname(root), { recursive: true });
  const folder = await mkdtemp(`${root}-`);
  try {
    const names = await packages();
    await run('apt-get', ['download', ...names], { cwd: folder });
    const files = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
    for (const file of files) await run('dpkg-deb', ['-x', file, 'root'], { cwd: folder });
    // Another test file may be doing the same: the first one wins.
    await rename(join(folder, 'root'), root).catch((error) => {
      if (!existsSync(root)) throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The server's packages and the libraries that they name, but for the C library, which must be the system's. */
async function packages(): Promise<string[]> {
  const list = () => run('apt-cache', ['depends', '--important', 'redis-server', 'redis-tools']);
  const { stdout } = await list().catch(async () => {
    await run('apt-get', ['update']);
    return list();
  });
  const depends = [...stdout.matchAll(/^ *\|?Depends: ([a-z0-9][^\s:]*)/gm)].map((match) => match[1]!);
  const libraries = depends.filter((name) => /^(lib|lua)/.test(name) && !/^libc6?$/.test(name));
  return ['redis-server', 'redis-tools', ...new Set(libraries)];
}

async function foldersOfLibraries(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const folders = entries.filter((entry) => /\.so(\.|$)/.test(entry.name)).map((entry) => entry.parentPath);
  return [...new Set(folders)];
}
