import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Config, examineConfig } from '../config/config.ts';
import { weaknesses } from '../config/production.ts';
import type { SourceConfig } from '../config/source/types.ts';
import type { Findings, Path } from '../config/text/text.ts';
import type { Problem } from '../core/problem.ts';
import { filterProblem } from '../filter/filter.ts';
import { compileSchemas } from '../schema/compile.ts';
import { readSchemaFiles } from '../schema/load.ts';
import { streamProblems } from '../streams/values.ts';
import { checkExpressions } from '../workflows/check.ts';

export interface CheckOptions {
  /** Path of the config; schemas and secrets are relative to its folder. */
  file: string;
  text: string;
  env: Record<string, string | undefined>;
  /** Reads what `file:/path` names; throws when it cannot. */
  readFile?: (path: string) => string;
  /** Makes errors of settings that are fit for a trial only. */
  production?: boolean;
}

/** Every problem of the config, the schemas and the filters, also of those parts of a config that are right. */
export async function checkAll(options: CheckOptions): Promise<Problem[]> {
  const { file, text, env } = options;
  const folder = dirname(resolve(file));
  const readFile = options.readFile ?? ((path) => readFileSync(resolve(folder, path), 'utf8'));
  const { config, findings } = examineConfig(text, env, { file, readFile });
  if (!config) return findings.sorted();
  for (const { name, filter } of config.subscriptions.values()) {
    const problem = filter === null ? null : filterProblem(filter);
    // Its further lines draw the expression and a caret.
    if (problem !== null)
      findings.error(['subscriptions', name, 'filter'], `is not CEL: ${problem.split('\n')[0]}`);
  }
  for (const stream of config.streams.values())
    for (const { path, detail } of streamProblems(stream))
      findings.error(['streams', stream.name, ...path], detail);
  for (const workflow of config.workflows.values()) checkExpressions(workflow, findings);
  const schemaProblems = await checkSchemas(config, folder, findings);
  // What is wrong elsewhere may be what makes a source look open.
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
        if (broken.has(`${name}.json`)) findings.error(path, `schema ${name} cannot be used as it is`);
        else findings.error(path, `there is no schema ${name}${known && `; there are ${known}`}`);
      }
    }
    return problems.map((problem) => ({ ...problem, file: join(config.schemas, problem.file) }));
  } catch (error) {
    findings.error(['schemas'], `cannot be read: ${(error as Error).message}`);
    return [];
  }
}

/** The schema names that a source's `schema` says, each with its place; pointers lead to names in events. */
function namesIn(path: Path, schema: SourceConfig['schema']): [Path, string][] {
  if (schema === null) return [];
  if (typeof schema !== 'string')
    return Object.entries(schema).map(([type, name]) => [[...path, type], name]);
  return schema.startsWith('/') ? [] : [[path, schema]];
}
