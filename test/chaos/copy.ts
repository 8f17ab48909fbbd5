import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

/** A change of one file below src. `from` must be there once. */
export interface Change {
  file: string;
  from: string;
  to: string;
}

/** A copy of the program, with changes. */
export interface SourceCopy {
  /** Path of its `main.ts`. */
  main: string;
  remove(): Promise<void>;
}

/** Copies `src` to a temporary folder. Throws when a text that is to be replaced is not there exactly once. */
export async function copySource(changes: readonly Change[] = []): Promise<SourceCopy> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-copy-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await cp(join(ROOT, 'src'), join(folder, 'src'), { recursive: true });
    await cp(join(ROOT, 'package.json'), join(folder, 'package.json'));
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    for (const { file, from, to } of changes) {
      const path = join(folder, 'src', file);
      const parts = (await readFile(path, 'utf8')).split(from);
      if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${from}`);
      await writeFile(path, parts.join(to));
    }
  } catch (error) {
    await remove();
    throw error;
  }
  return { main: join(folder, 'src', 'main.ts'), remove };
}
