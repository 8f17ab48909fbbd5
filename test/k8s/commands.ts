import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface CommandOptions {
  /** Text for its standard input. */
  input?: string;
  cwd?: string;
  env?: Record<string, string>;
  /** Shows what it prints while it runs. */
  loud?: boolean;
}

/** Runs a program; resolves with what it printed on standard output, rejects with the rest when it fails. */
export async function command(
  program: string,
  args: string[],
  options: CommandOptions = {},
): Promise<string> {
  const child = spawn(program, args, {
    cwd: options.cwd ?? process.cwd(),
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let [output, errors] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
    if (options.loud) process.stdout.write(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk;
    if (options.loud) process.stderr.write(chunk);
  });
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const [code] = await once(child, 'close');
  if (code === 0) return output;
  throw new Error(`${program} ${args.join(' ').slice(0, 300)}: exit ${code}\n${errors || output}`);
}
