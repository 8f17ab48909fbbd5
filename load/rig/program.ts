import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

let built: Promise<string[]> | null = null;

/** Arguments for Node that run the built program with the flags of the Dockerfile. Builds it the first time. */
export function program(): Promise<string[]> {
  built ??= build();
  return built;
}

async function build(): Promise<string[]> {
  await promisify(execFile)('npm', ['run', 'build']);
  const entry = /^ENTRYPOINT (\[.*\])$/m.exec(await readFile('Dockerfile', 'utf8'))?.[1] ?? '[]';
  const [, ...args] = (JSON.parse(entry) as string[]).map((arg) => arg.replace(/^\/app\//, ''));
  return args;
}
