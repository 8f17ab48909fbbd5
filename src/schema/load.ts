import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isOutOfDescriptors, StartError } from '../core/lifecycle.ts';
import type { Problem } from '../core/problem.ts';
import { compileSchemas, type SchemaFile } from './compile.ts';
import { MetaChecks } from './meta-checks.ts';
import type { SchemaSet } from './registry.ts';

/** Bytes of one schema file. */
export const MAX_FILE_BYTES = 4 * 1024 * 1024;
/** Files that are read at the same time: each takes a file descriptor. */
const MAX_OPEN_FILES = 16;
/** Schema files in a folder, and levels of folders. */
const MAX_FILES = 2000;
const MAX_DEPTH = 8;

interface Found {
  path: string;
  size: number;
  /** Changes whenever the file is written or replaced. */
  stamp: string;
}

/**
 * All `*.json` below a folder, sorted by path; names that begin with a dot are left out. A file that is over 4 MiB or
 * cannot be read has a problem in place of its text. Rejects when the folder cannot be read or has more than 2000
 * schemas.
 */
export async function readSchemaFiles(folder: string): Promise<SchemaFile[]> {
  const found = await findFiles(folder);
  const files: SchemaFile[] = [];
  for (let i = 0; i < found.length; i += MAX_OPEN_FILES)
    files.push(
      ...(await Promise.all(found.slice(i, i + MAX_OPEN_FILES).map((file) => readOne(folder, file)))),
    );
  return files;
}

export interface SchemaWatch {
  /** The problems of the folder's newest state. When one is an error, that state is not in use. */
  problems(): Problem[];
  close(): void;
}

export interface OpenSchemas extends SchemaWatch {
  /** The set in use now. */
  set(): SchemaSet;
}

interface Snapshot {
  stamp: string;
  set: SchemaSet | null;
  problems: Problem[];
}

type OnProblems = (problems: Problem[]) => void;

/**
 * Compiles the folder, then watches it. At the start schemas with errors are left out and the others are
 * used; later a state with errors leaves the set as it was. `onProblems` gets the warnings too. Rejects when
 * the folder cannot be read.
 */
export async function openSchemas(
  folder: string,
  onProblems: OnProblems,
  interval?: number,
): Promise<OpenSchemas> {
  const meta = new MetaChecks();
  const first = await snapshot(folder, meta);
  let { set } = first;
  if (set === null) throw new StartError(`schema folder ${folder}: ${first.problems[0]?.message}`);
  if (first.problems.length > 0) onProblems(first.problems);
  const swap = (next: SchemaSet) => {
    set = next;
  };
  return { ...watch(folder, swap, onProblems, meta, first, interval), set: () => set as SchemaSet };
}

/**
 * Compiles the folder now and whenever it has changed. It looks every two seconds (or `interval` ms), because file
 * system notifications miss a Kubernetes volume that is replaced behind a link. `onChange` gets each set without
 * errors; otherwise the set from before stays. `onProblems` gets the problems of each state that has any, with the
 * warnings.
 */
export function watchSchemas(
  folder: string,
  onChange: (set: SchemaSet) => void,
  onProblems: OnProblems,
  interval?: number,
): SchemaWatch {
  return watch(folder, onChange, onProblems, new MetaChecks(), null, interval);
}

function watch(
  folder: string,
  onChange: (set: SchemaSet) => void,
  onProblems: OnProblems,
  meta: MetaChecks,
  first: Snapshot | null,
  interval = 2000,
): SchemaWatch {
  let last = first;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  async function look(): Promise<void> {
    const next = await snapshot(folder, meta, last?.stamp);
    if (closed || next === null) return;
    last = next;
    const { set, problems } = next;
    if (problems.length > 0) onProblems(problems);
    if (set !== null && !problems.some((problem) => problem.level === 'error')) onChange(set);
  }

  function schedule(): void {
    if (!closed) timer = setTimeout(() => void look().then(schedule), interval).unref();
  }

  if (first === null) void look().then(schedule);
  else schedule();
  return {
    problems: () => last?.problems ?? [],
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** The folder's state; null when it is the one seen before. */
async function snapshot(folder: string, meta: MetaChecks): Promise<Snapshot>;
async function snapshot(folder: string, meta: MetaChecks, seen: string | undefined): Promise<Snapshot | null>;
async function snapshot(folder: string, meta: MetaChecks, seen?: string): Promise<Snapshot | null> {
  try {
    // Taken before the files are read: a change while they are read is seen the next time.
    const stamp = (await findFiles(folder)).map((file) => `${file.path} ${file.stamp}`).join('\n');
    if (stamp === seen) return null;
    return { stamp, ...compileSchemas(await readSchemaFiles(folder), { meta }) };
  } catch (error) {
    // This says nothing of the folder; the next look will.
    if (seen !== undefined && isOutOfDescriptors(error)) return null;
    const message = error instanceof Error ? error.message : String(error);
    if (message === seen) return null;
    return { stamp: message, set: null, problems: [{ level: 'error', file: folder, pointer: '', message }] };
  }
}

async function findFiles(folder: string): Promise<Found[]> {
  const found: Found[] = [];
  async function search(below: string, depth: number): Promise<void> {
    for (const name of await readdir(join(folder, below))) {
      // Kubernetes keeps the versions of a mounted volume in folders that begin with two dots.
      if (name.startsWith('.')) continue;
      const path = below === '' ? name : `${below}/${name}`;
      const info = await stat(join(folder, path), { bigint: true });
      if (info.isDirectory() && depth < MAX_DEPTH) await search(path, depth + 1);
      if (!info.isFile() || !name.endsWith('.json')) continue;
      const stamp = `${info.ino} ${info.size} ${info.mtimeNs} ${info.ctimeNs}`;
      found.push({ path, size: Number(info.size), stamp });
      if (found.length > MAX_FILES) throw new Error(`folder has more than ${MAX_FILES} schemas`);
    }
  }
  await search('', 1);
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function readOne(folder: string, { path, size }: Found): Promise<SchemaFile> {
  if (size > MAX_FILE_BYTES) return { path, text: '', problem: `is larger than ${MAX_FILE_BYTES} bytes` };
  try {
    const bytes = await readFile(join(folder, path));
    return { path, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (error) {
    if (isOutOfDescriptors(error)) throw error;
    return { path, text: '', problem: `cannot be read: ${error instanceof Error ? error.message : error}` };
  }
}
