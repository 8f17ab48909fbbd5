import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const cache = join(import.meta.dirname, '../../.cache/go');

/**
 * Builds a program of the Go module in `go/{module}`, whose versions are pinned there, and resolves with its
 * path. A program that was built before is taken from the cache.
 */
export async function buildGo(
  module: string,
  options: { package?: string; tags?: string[] } = {},
): Promise<string> {
  const folder = join(import.meta.dirname, 'go', module);
  const hash = createHash('sha256').update(JSON.stringify(options));
  for (const file of (await readdir(folder)).sort()) hash.update(await readFile(join(folder, file)));
  const program = join(cache, `${module}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;
  await mkdir(cache, { recursive: true });
  const partial = `${program}.${process.pid}`;
  const tags = options.tags === undefined ? [] : ['-tags', options.tags.join(',')];
  // Niced: it keeps all cores busy for a minute, beside tests that are running.
  await run('nice', ['go', 'build', '-mod=readonly', ...tags, '-o', partial, options.package ?? '.'], {
    cwd: folder,
    env: { ...process.env, GOFLAGS: '', GOWORK: 'off', CGO_ENABLED: '0' },
    maxBuffer: 16 * 1024 * 1024,
  });
  await rename(partial, program);
  return program;
}
