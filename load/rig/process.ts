import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Starts a Node program and resolves when its output shows `ready`. Rejects when it ends before. */
export async function startNode(args: string[], ready: RegExp): Promise<ChildProcess & { pid: number }> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code}: ${output.slice(-2000)}`)));
    child.stdout.on('data', (bytes: Buffer) => {
      if (output.length < 65_536) output += bytes.toString();
      if (ready.test(output)) resolve();
    });
  });
  child.removeAllListeners('exit');
  return child as ChildProcess & { pid: number };
}

/** Ends a program by SIGTERM and waits for it. */
export async function stopNode(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}
