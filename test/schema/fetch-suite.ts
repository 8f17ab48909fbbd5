import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PACKAGE = 'jsonschema';
const VERSION = '4.26.0';

/**
 * Folder of the official JSON-Schema-Test-Suite (`tests`, `remotes`), which comes inside the source archive
 * of a Python package. Downloaded into `.cache/` once; needs python3 with pip and tar for that.
 */
export async function fetchSuite(): Promise<string> {
  const cache = join(import.meta.dirname, '../../.cache');
  const folder = join(cache, `${PACKAGE}-${VERSION}`);
  if (existsSync(folder)) return join(folder, 'json');
  await mkdir(cache, { recursive: true });
  const download = await mkdtemp(join(cache, 'download-'));
  try {
    const wanted = ['--no-deps', '--no-binary', PACKAGE, `${PACKAGE}==${VERSION}`];
    await run('python3', ['-m', 'pip', 'download', '--quiet', ...wanted, '-d', download]);
    await run('tar', ['-xzf', join(download, `${PACKAGE}-${VERSION}.tar.gz`), '-C', download]);
    // Whole or not at all: another process may be waiting for the same folder.
    await rename(join(download, `${PACKAGE}-${VERSION}`), folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(download, { recursive: true, force: true });
  }
  return join(folder, 'json');
}
