import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { isOutOfDescriptors } from '../../core/lifecycle.ts';

export interface Descriptors {
  /** File descriptors that the process may have open; Infinity when that is not known. */
  limit: number;
  /** With fewer left there is a problem. Connections leave twice as many. */
  reserve: number;
  /** The problem, or null. */
  problem(): string | null;
}

export interface DescriptorOptions {
  /** Called each second with the number of open descriptors, on Linux. */
  onCount(used: number): void;
  onChange(problem: string | null): void;
}

const LOOK_MS = 1000;
/** Linux lists the open descriptors here. */
const OPEN = '/proc/self/fd';

/** Counts the open file descriptors once a second: connections, files and stores take them. */
export function watchDescriptors({ onCount, onChange }: DescriptorOptions): Descriptors {
  const limit = descriptorLimit();
  const reserve = Math.max(4, Math.min(64, Math.floor(limit / 40)));
  let problem: string | null = null;
  let looking = false;

  async function look(): Promise<void> {
    if (looking) return;
    looking = true;
    const next = await count().catch((error: unknown) =>
      isOutOfDescriptors(error) ? usedUp(error, limit) : null,
    );
    looking = false;
    if (next === problem) return;
    problem = next;
    onChange(problem);
  }
  async function count(): Promise<string | null> {
    // One of them belongs to this look at the folder.
    const used = (await readdir(OPEN)).length - 1;
    onCount(used);
    if (limit - used >= reserve) return null;
    return `file descriptors: the process has used up its limit of ${limit} but for fewer than ${reserve}`;
  }

  setInterval(() => void look(), LOOK_MS).unref();
  return { limit, reserve, problem: () => problem };
}

function usedUp(error: unknown, limit: number): string {
  if ((error as NodeJS.ErrnoException).code === 'ENFILE')
    return 'file descriptors: the machine has used up all of its own';
  return `file descriptors: the process has used up its limit of ${limit}`;
}

/** The soft limit. Node raises it to the hard one. */
function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    if (soft !== undefined) return Number(soft);
  } catch {
    // Not Linux.
  }
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } };
  const soft = userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : Infinity;
}
