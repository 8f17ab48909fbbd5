import { execFile } from 'node:child_process';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium } from 'playwright-core';

const exec = promisify(execFile);
const run = (file: string, args: string[]) => exec(file, args, { maxBuffer: 64 * 1024 * 1024 });

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts a real Chromium without a window: the one on the PATH, else the distribution's package is installed. */
export async function startChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: await findChromium(), args: FLAGS });
}

async function findChromium(): Promise<string> {
  return (await installed()) ?? (await install());
}

/** Its path, or null when it is missing or does not run, as while another process is installing it. */
async function installed(): Promise<string | null> {
  try {
    const { stdout } = await run('sh', ['-c', 'command -v chromium']);
    const path = stdout.trim();
    await run(path, ['--version']);
    return path;
  } catch {
    return null;
  }
}

/** Unlike Redis it has too many libraries and files in fixed places to be unpacked into a folder of ours. */
async function install(): Promise<string> {
  const root = process.getuid?.() === 0;
  const apt = (...args: string[]) =>
    // One at a time: apt waits for the lock of packages when it is told to, but never for the lock of its lists.
    run('flock', [
      join(tmpdir(), `postern-apt-${userInfo().username}.lock`),
      ...(root ? ['env'] : ['sudo', '-n', 'env']),
      'DEBIAN_FRONTEND=noninteractive',
      ...['apt-get', '-y', '-o', 'DPkg::Lock::Timeout=900', ...args],
    ]);
  const add = () => apt('install', '--no-install-recommends', 'chromium');
  try {
    await add().catch(async () => {
      await apt('update');
      await add();
    });
  } catch (cause) {
    throw new Error('chromium is not on the PATH and could not be installed: install Chromium', { cause });
  }
  const path = await installed();
  if (path === null) throw new Error('chromium was installed but does not run');
  return path;
}
