import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Project } from '../e2e/postern.ts';
import { freePort } from '../services/free-port.ts';
import { until } from '../services/until.ts';

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const BUILD = join(import.meta.dirname, '../../scripts/build-edge.ts');

export interface Bundle {
  /** Of worker.js, worker.capnp, wrangler.toml and meta.json. */
  folder: string;
  /** What the build told. */
  output: string;
}

/** Builds the edge bundle of a project, in a folder of it. */
export async function buildBundle(project: Project): Promise<Bundle> {
  const folder = join(project.folder, 'edge');
  const args = [BUILD, '--config', project.config, '--out', folder];
  const { stdout, stderr } = await run(process.execPath, args);
  return { folder, output: stdout + stderr };
}

/** A real workerd with a bundle in it. */
export interface Worker {
  url: string;
  /** What it wrote to its standard error so far. */
  output(): string;
  stop(): Promise<void>;
}

/** Starts workerd; resolves when it answers. `env` is what the bundle's bindings come from. */
export async function startWorker(bundle: Bundle, env: Record<string, string>): Promise<Worker> {
  // The program itself: a launcher would leave it behind.
  const { default: program } = require('workerd') as { default: string };
  const port = await freePort();
  const child = spawn(program, ['serve', 'worker.capnp', `--socket-addr=http=127.0.0.1:${port}`], {
    cwd: bundle.folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()));
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  const exited = once(child, 'exit').then(() => process.off('exit', end));
  const url = `http://127.0.0.1:${port}`;
  await until('workerd answers', () => {
    if (child.exitCode !== null) throw new Error(`workerd ended with ${child.exitCode}:\n${output}`);
    return answers(url);
  });
  return {
    url,
    output: () => output,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    await fetch(`${url}/nowhere`);
    return true;
  } catch {
    return false;
  }
}
