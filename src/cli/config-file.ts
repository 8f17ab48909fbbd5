import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Logger } from 'pino';
import { makeLogger } from '../adapters/telemetry/logging.ts';
import type { Config } from '../config/config.ts';
import { readConfig } from '../config/read.ts';
import { formatProblem } from '../core/problem.ts';
import { type CommandLine, UsageError } from './command-line.ts';

/** What a command on the log needs. */
export interface LogCommandLine extends Pick<CommandLine, 'args' | 'values' | 'print'> {
  config: Config;
  /** Folder of the config. Its relative paths start there. */
  base: string;
  /** Writes to standard error. */
  logger: Logger;
}

/** What a command that asks an admin port needs. `config` is null only if `values.admin` is set. */
export interface AdminCommandLine extends Pick<CommandLine, 'args' | 'values' | 'print'> {
  config: Config | null;
}

/** Path of the config that --config or the environment names; else `standard`. */
export function configFile({ values }: Pick<CommandLine, 'values'>, standard = 'postern.yaml'): string {
  return values.config ?? process.env.POSTERN_CONFIG ?? standard;
}

/** The text of a config file. Throws a UsageError when it cannot be read. */
export function configText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read the config: ${(error as Error).message}`);
  }
}

/** Reads a config and prints its problems. Throws a UsageError when it has errors. `local` as in `ReadOptions`. */
export function loadConfig(file: string, local = false): Config {
  const { config, problems } = readConfig(configText(file), process.env, {
    file,
    readFile: (path) => readFileSync(resolve(dirname(file), path), 'utf8'),
    local,
  });
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`);
  if (config === null) throw new UsageError('the config has errors; postern check lists them all');
  return config;
}

/** Adds the config to the line of a command that asks an admin port. */
export function openAdmin(line: CommandLine): AdminCommandLine {
  const file = configFile(line);
  const { POSTERN_CONFIG, POSTERN_ADMIN_TOKEN } = process.env;
  const { admin, config, token = POSTERN_ADMIN_TOKEN } = line.values;
  const isNamed = config !== undefined || POSTERN_CONFIG !== undefined;
  const isNeeded = admin === undefined || isNamed || existsSync(file);
  return { ...line, values: { ...line.values, token }, config: isNeeded ? loadConfig(file) : null };
}

/** Adds the config to the line of a command on the log. */
export function openConfig(line: CommandLine): LogCommandLine {
  const file = configFile(line);
  const config = loadConfig(file);
  return { ...line, config, base: dirname(resolve(file)), logger: makeLogger('warn', process.stderr) };
}
