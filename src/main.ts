#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Role } from './app/serve.ts';
import { addressOf, UsageError } from './cli/command-line.ts';
import { startSampleFunction } from './cli/dev.ts';
import { checkUsage, OPTIONS, USAGE } from './cli/usage.ts';
import { type Config, readConfig } from './config/config.ts';
import { StartError } from './core/lifecycle.ts';
import { printableJson } from './core/printable.ts';
import { formatProblem, type Problem } from './core/problem.ts';

const version = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

async function main(): Promise<void> {
  if (Number(process.versions.node.split('.')[0]) < 24) {
    throw new UsageError(`Postern needs Node 24 or later; this is ${process.version}`);
  }
  const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS });
  const [command, argument, second, third] = positionals;
  if (values.version) {
    process.stdout.write(`${version}\n`);
    return;
  }
  if (values.help || command === undefined) {
    process.stdout.write(USAGE);
    if (!values.help) process.exitCode = 2;
    return;
  }
  checkUsage(command, Object.keys(values), positionals.slice(1));
  const file = values.config ?? process.env.POSTERN_CONFIG ?? sampleOr(command);
  if (command === 'dev') await dev(file, values.listen);
  else if (command === 'serve') await serve(file, rolesOf(values.role ?? 'gateway,dispatcher'));
  else if (command === 'check') await check(file, values.production ?? false);
  else if (command === 'workflows') {
    // Whoever asks a Postern elsewhere needs no config here.
    const isNamed = values.config !== undefined || process.env.POSTERN_CONFIG !== undefined;
    const elsewhere = values.admin !== undefined && !isNamed && !existsSync(file);
    const { workflowsCommand } = await import('./cli/workflows.ts');
    const good = await workflowsCommand({
      config: elsewhere ? null : load(file),
      action: argument,
      workflow: second,
      id: third,
      admin: values.admin,
      token: values.token ?? process.env.POSTERN_ADMIN_TOKEN,
      json: values.json ?? false,
      print,
    });
    if (!good) process.exitCode = 1;
  } else if (command === 'try') {
    await tryCommand(file, values.source, values.type ?? 'application/json', argument);
  } else {
    const options = { ...(await commandOptions(file)), values };
    const good =
      command === 'replay'
        ? await (await import('./cli/replay.ts')).replayCommand(options)
        : command === 'streams'
          ? (await import('./cli/streams.ts')).streamsCommand({
              ...options,
              action: argument,
              stream: second,
              to: values.to,
            })
          : await (await import('./cli/dead-letters.ts')).deadLetters({
              ...options,
              action: argument,
              place: second,
            });
    if (!good) process.exitCode = 1;
  }
}

/** `dev` without a config of one's own runs the sample that comes with the package. */
function sampleOr(command: string): string {
  return command === 'dev' ? join(import.meta.dirname, '..', 'postern.yaml') : 'postern.yaml';
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read the config: ${(error as Error).message}`);
  }
}

/** `local`: events come in on loopback unless the config says where. */
function load(file: string, local = false): Config {
  const { config, problems } = readConfig(read(file), process.env, {
    file,
    readFile: (path) => readFileSync(resolve(dirname(file), path), 'utf8'),
    local,
  });
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`);
  if (config === null) throw new UsageError('the config has errors; postern check lists them all');
  return config;
}

function rolesOf(text: string): Role[] {
  return text.split(',').map((role) => {
    if (role !== 'gateway' && role !== 'dispatcher')
      throw new UsageError(`there is no role ${role}: gateway, dispatcher`);
    return role;
  });
}

// What follows needs a current Node, so it is loaded only when the version is known to be right.

async function serve(file: string, roles: Role[]): Promise<void> {
  const { run } = await import('./app/serve.ts');
  await run({ config: load(file), base: dirname(resolve(file)), roles, version });
}

async function dev(file: string, listen: string | undefined): Promise<void> {
  const { run } = await import('./app/serve.ts');
  const config = load(file, true);
  if (listen !== undefined) config.gateway.listen = addressOf('listen', listen);
  const urls = [...config.subscriptions.values()].flatMap(({ function: fn }) =>
    'http' in fn ? [new URL(fn.http.url)] : [],
  );
  const local = urls.find((url) => url.hostname === '127.0.0.1');
  if (local !== undefined)
    await startSampleFunction(Number(local.port), (line) => process.stdout.write(`${line}\n`));
  await run({
    config,
    base: dirname(resolve(file)),
    roles: ['gateway', 'dispatcher'],
    version,
    data: process.cwd(),
    drain: 0,
  });
}

/** Text for people has nothing left that steers a terminal; what is for machines may be looked at on one too. */
function print(text: string): void {
  process.stdout.write(`${printableJson(text)}\n`);
}

/** What commands on the log get; their own log goes to standard error. */
async function commandOptions(file: string) {
  const { makeLogger } = await import('./adapters/telemetry/logging.ts');
  const config = load(file);
  const logger = makeLogger('warn', process.stderr);
  return { config, base: dirname(resolve(file)), logger, print };
}

async function check(file: string, production: boolean): Promise<void> {
  const { checkAll } = await import('./cli/check.ts');
  const problems: Problem[] = await checkAll({ file, text: read(file), env: process.env, production });
  for (const problem of problems) process.stdout.write(`${formatProblem(problem)}\n`);
  const errors = problems.filter((problem) => problem.level === 'error').length;
  process.stdout.write(errors === 0 ? `${file} is good\n` : `${errors} error${errors === 1 ? '' : 's'}\n`);
  if (errors > 0) process.exitCode = 1;
}

async function tryCommand(
  file: string,
  source: string | undefined,
  type: string,
  payload: string | undefined,
): Promise<void> {
  if (source === undefined) throw new UsageError('try needs --source NAME');
  const { tryPayload } = await import('./cli/try.ts');
  const config = load(file);
  const bytes = readFileSync(payload ?? 0);
  const result = await tryPayload({ config, base: dirname(resolve(file)), source, contentType: type, bytes });
  process.stdout.write(`${result.text}\n`);
  if (!result.good) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  const known =
    error instanceof StartError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`postern: ${known ? (error as Error).message : (error as Error).stack}\n`);
  // The sample function may listen already.
  process.exit(2);
}
