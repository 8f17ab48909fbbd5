import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');

/** Runs a script of this folder with packages from PyPI (fetched once into .cache/python); resolves with its output. */
export async function runPython(packages: string[], script: string, args: string[]): Promise<string> {
  const name = packages.join('_').replace(/[^\w.=-]/g, '-');
  const target = join(root, '.cache', 'python', name);
  if (!existsSync(target)) {
    const partial = `${target}.${process.pid}`;
    await mkdir(partial, { recursive: true });
    await run('python3', [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--root-user-action=ignore',
      '--target',
      partial,
      ...packages,
    ]);
    await rename(partial, target).catch(() => rm(partial, { recursive: true }));
  }
  const { stdout } = await run('python3', [join(import.meta.dirname, script), ...args], {
    env: { ...process.env, PYTHONPATH: target },
  });
  return stdout;
}
