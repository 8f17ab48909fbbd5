import { dirname, join, resolve } from 'node:path';
import { run } from '../app/serve.ts';
import { addressOf, type CommandLine } from './command-line.ts';
import { configFile, loadConfig } from './config-file.ts';
import { startSampleFunction } from './sample-function.ts';

/** The sample config of the package. */
const SAMPLE = join(import.meta.dirname, '..', '..', 'postern.yaml');

/** `postern dev`: both roles, and the sample functions where the config calls this machine. */
export async function dev(line: CommandLine): Promise<boolean> {
  const { values, version, print } = line;
  const file = configFile(line, SAMPLE);
  const config = loadConfig(file, true);
  if (values.listen !== undefined) config.gateway.listen = addressOf('listen', values.listen);
  const urls = [...config.subscriptions.values()].flatMap(({ function: fn }) =>
    'http' in fn ? [new URL(fn.http.url)] : [],
  );
  const local = urls.find((url) => url.hostname === '127.0.0.1');
  if (local !== undefined) await startSampleFunction(Number(local.port), print);
  await run({
    config,
    base: dirname(resolve(file)),
    roles: ['gateway', 'dispatcher'],
    version,
    data: process.cwd(),
    drain: 0,
  });
  return true;
}
