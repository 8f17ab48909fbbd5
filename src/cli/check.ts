import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { examineConfig } from '../config/read.ts';
import type { SourceConfig } from '../config/source/types.ts';
import type { Findings } from '../config/text/findings.ts';
import type { Path } from '../config/text/path.ts';
import { weaknesses } from '../config/weaknesses.ts';
import { formatProblem, type Problem } from '../core/problem.ts';
import { filterProblem } from '../filter/filter.ts';
import { compileSchemas } from '../schema/compile.ts';
import { readSchemaFiles } from '../schema/load.ts';
import { streamProblems } from '../streams/values.ts';
import { checkExpressions } from '../workflows/check.ts';
import type { CommandLine } from './command-line.ts';
import { configFile, configText } from './config-file.ts';

/** `postern check`: prints all problems. Resolves with false when one is an error. */
export async function check(line: CommandLine): Promise<boolean> {
  const file = configFile(line);
  const { production = false } = line.values;
  const problems = await checkAll({ file, text: configText(file), env: process.env, production });
  for (const problem of problems) line.print(formatProblem(problem));
  const errors = problems.filter(({ level }) => level === 'error').length;
  line.print(errors === 0 ? `${file} is good` : `${errors} error${errors === 1 ? '' : 's'}`);
  return errors === 0;
}

export interface CheckOptions {
  /** Path of the config. Its schemas and secrets are relative to its folder. */
  file: string;
  text: string;
  env: Record<string, string | undefined>;
  /** Reads the file of a `file:/path`. Throws when it cannot be read. */
  readFile?: (path: string) => string;
  /** Settings that are fit for a trial only are errors. */
  production?: boolean;
}

/** Finds every problem of the config, the schemas and the filters. Errors in one part do not hide those of another. */
export async function checkAll(options: CheckOptions): Promise<Problem[]> {
  const { file, text, env } = options;
  const folder = dirname(resolve(file));
  const readFile = options.readFile ?? ((path) => readFileSync(resolve(folder, path), 'utf8'));
  const { config, findings } = examineConfig(text, env, { file, readFile });
  if (!config) return findings.sorted();
  for (const { name, filter } of config.subscriptions.values()) {
    const problem = filter === null ? null : filterProblem(filter);
    // The other lines of the message draw the expression and a caret.
    if (problem !== null)
      findings.error(['subscriptions', name, 'filter'], `is not CEL: ${problem.split('\n')[0]}`);
  }
  for (const stream of config.streams.values())
    for (const { path, detail } of streamProblems(stream))
      findings.error(['streams', stream.name, ...path], detail);
  for (const workflow of config.workflows.values()) checkExpressions(workflow, findings);
  const schemaProblems = await checkSchemas(config, folder, findings);
  // With another error, a source may only look open: its wrong settings are missing here.
  if (!findings.problems.some(({ level }) => level === 'error'))
    addWeaknesses(config, options.production ?? false, findings);
  return [...findings.sorted(), ...schemaProblems];
}

function addWeaknesses(config: Config, production: boolean, findings: Findings): void {
  for (const { path, message, level } of weaknesses(config)) {
    if (production && level !== 'note') findings.error(path, message);
    else findings.warn(path, message);
  }
}

async function checkSchemas(config: Config, folder: string, findings: Findings): Promise<Problem[]> {
  try {
    const { set, problems } = compileSchemas(await readSchemaFiles(resolve(folder, config.schemas)));
    const broken = new Set(problems.filter(({ level }) => level === 'error').map(({ file }) => file));
    for (const { name: source, schema } of config.sources.values()) {
      for (const [path, name] of namesIn(['sources', source, 'schema'], schema)) {
        if (set.find(name)) continue;
        const known = set.names().slice(0, 20).join(', ');
        if (broken.has(`${name}.json`)) findings.error(path, `schema ${name} has errors`);
        else findings.error(path, `there is no schema ${name}${known && `; the schemas are ${known}`}`);
      }
    }
    return problems.map((problem) => ({ ...problem, file: join(config.schemas, problem.file) }));
  } catch (error) {
    findings.error(['schemas'], `cannot be read: ${(error as Error).message}`);
    return [];
  }
}

/** The schema names in a source's `schema`, each with its path. A pointer has none: the events hold the name. */
function namesIn(path: Path, schema: SourceConfig['schema']): [Path, string][] {
  if (schema === null) return [];
  if (typeof schema !== 'string')
    return Object.entries(schema).map(([type, name]) => [[...path, type], name]);
  return schema.startsWith('/') ? [] : [[path, schema]];
}
