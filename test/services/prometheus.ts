import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

const run = promisify(execFile);

interface Sample {
  metric: Record<string, string>;
  /** Seconds since 1970, and the number as text. */
  value: [number, string];
}

export interface Prometheus {
  readonly url: string;
  /** Answers a query as of now. Rejects with the server's words when it is not valid. */
  query(expression: string): Promise<Sample[]>;
  /** `data` of another request to its API. */
  api(path: string): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

export interface PrometheusOptions {
  /** host:port of admin ports, by the job that they get. */
  jobs: Record<string, string[]>;
  /** Files of rules. */
  rules?: string[];
}

/** Starts a real Prometheus that scrapes each second; rejects with its output if it does not come up. */
export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-prometheus-'));
  const port = await freePort();
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: options.rules ?? [],
    scrape_configs: Object.entries(options.jobs).map(([job_name, targets]) => ({
      job_name,
      static_configs: [{ targets }],
    })),
  };
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const child = spawn(
    join(await findPrograms(), 'prometheus'),
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const orphan = () => child.kill('SIGKILL');
  process.on('exit', orphan);
  const ended = new Promise<void>((settle) => child.once('close', () => settle()));
  let output = '';
  child.stdout.on('data', (bytes) => (output += bytes));
  child.stderr.on('data', (bytes) => (output += bytes));
  const url = `http://127.0.0.1:${port}`;
  const isReady = () => fetch(`${url}/-/ready`).then(({ ok }) => ok);
  await until('Prometheus is ready', () => {
    if (child.exitCode !== null) throw new Error(`Prometheus ended with ${child.exitCode}:\n${output}`);
    return isReady().catch(() => false);
  });
  const api = async (path: string) => {
    const reply = (await (await fetch(`${url}/api/v1/${path}`)).json()) as {
      data: Record<string, unknown>;
      error?: string;
    };
    if (reply.error !== undefined) throw new Error(`${path}: ${reply.error}`);
    return reply.data;
  };
  return {
    url,
    api,
    query: async (expression) =>
      (await api(`query?query=${encodeURIComponent(expression)}`)).result as Sample[],
    async stop() {
      process.off('exit', orphan);
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Runs promtool; resolves with its exit code and all that it says. */
export async function promtool(args: string[], input = ''): Promise<{ code: number | null; output: string }> {
  const child = spawn(join(await findPrograms(), 'promtool'), args);
  let output = '';
  child.stdout.on('data', (bytes) => (output += bytes));
  child.stderr.on('data', (bytes) => (output += bytes));
  child.stdin.end(input);
  return new Promise((settle, reject) => {
    child.once('error', reject);
    child.once('close', (code) => settle({ code, output }));
  });
}

/** The folder of both programs: of the PATH, else the distribution's own, unpacked into the cache. */
async function findPrograms(): Promise<string> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const has = (program: string) => existsSync(join(folder, program));
    if (folder !== '' && has('prometheus') && has('promtool')) return folder;
  }
  const root = resolve('.cache/prometheus');
  if (!existsSync(root)) await fetchPrograms(root);
  return join(root, 'usr/bin');
}

async function fetchPrograms(root: string): Promise<void> {
  if (!existsSync('/usr/bin/apt-get')) throw new Error('prometheus is not on the PATH: install Prometheus');
  await mkdir(dirname(root), { recursive: true });
  const folder = await mkdtemp(`${root}-`);
  try {
    const download = () => run('apt-get', ['download', 'prometheus'], { cwd: folder });
    await download().catch(async () => {
      await run('apt-get', ['update']);
      await download();
    });
    const [file] = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
    await run('dpkg-deb', ['-x', file!, 'root'], { cwd: folder });
    // Another test file may be doing the same: the first one wins.
    await rename(join(folder, 'root'), root).catch((error) => {
      if (!existsSync(root)) throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
