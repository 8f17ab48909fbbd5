import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';
import { within } from './until.ts';

/** A function in Google's Functions Framework, in a process of its own. */
export interface FrameworkFunction {
  url: string;
  close(): Promise<void>;
}

/**
 * Starts one. `code`: JavaScript that registers the function `fn` with `ff` (`ff.http`, `ff.cloudEvent`), and tells
 * with `said(value)` what becomes known to `heard` here.
 */
export async function startFrameworkFunction(
  code: string,
  heard: (value: unknown) => void,
): Promise<FrameworkFunction> {
  const main = fileURLToPath(import.meta.resolve('@google-cloud/functions-framework'));
  const folder = await mkdtemp(join(tmpdir(), 'postern-framework-'));
  const source = join(folder, 'function.js');
  await writeFile(
    source,
    `const ff = require(${JSON.stringify(main)});
const said = (value) => process.stdout.write('said ' + JSON.stringify(value) + '\\n');
${code}`,
  );
  const port = await freePort();
  const args = [join(main, '..', 'main.js'), `--source=${source}`, '--target=fn', `--port=${port}`];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  // A test that fails half-way must not leave it running.
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  const exited = once(child, 'exit').finally(() => process.off('exit', end));
  let output = '';
  child.stderr.on('data', (bytes: Buffer) => {
    output += bytes;
  });
  const listening = new Promise<void>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      if (line.startsWith('said ')) heard(JSON.parse(line.slice('said '.length)));
      else if (line.startsWith('URL:')) resolve();
    });
    void exited.then(() => reject(new Error(`the framework ended:\n${output}`)));
  });
  await within('the framework listens', listening);
  return {
    url: `http://127.0.0.1:${port}/`,
    async close() {
      child.kill('SIGKILL');
      await exited;
      await rm(folder, { recursive: true });
    },
  };
}
