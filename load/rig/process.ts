import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** A program that is not ready by then is ended. */
const START_MS = 120_000;

export type NodeProcess = ChildProcess & { pid: number };

/** Starts a Node program and resolves when its output matches `ready`. Rejects when it ends before, or takes too long. */
export async function startNode(args: string[], ready: RegExp): Promise<NodeProcess> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  let output = '';
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve, reject) => {
    const failed = (how: string) => reject(new Error(`${args[0]} ${how}: ${output.slice(-2000)}`));
    timer = setTimeout(() => {
      child.kill('SIGKILL');
      failed(`is not ready after ${START_MS / 1000} s`);
    }, START_MS);
    child.once('exit', (code) => failed(`ended with ${code}`));
    child.stdout.on('data', (bytes: Buffer) => {
      if (output.length < 65_536) output += bytes.toString();
      if (ready.test(output)) resolve();
    });
  }).finally(() => clearTimeout(timer));
  return child as NodeProcess;
}

/** Ends a program by SIGTERM and waits for it. */
export async function stopNode(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}
