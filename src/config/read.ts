import type { Problem } from '../core/problem.ts';
import { checkTogether } from './check.ts';
import type { Config } from './config.ts';
import { resolveConfig } from './resolve.ts';
import { type ConfigDocument, configShape } from './shape.ts';
import { checkShape } from './text/check-shape.ts';
import { Findings } from './text/findings.ts';
import type { ShapeNode } from './text/shown.ts';
import { readYaml } from './text/yaml.ts';
import type { SecretReader } from './values/reader.ts';
import { weaknesses } from './weaknesses.ts';

/** All problems of a config, and the config as far as it can be read. */
export interface Examination {
  /** When there are errors, it is fit for further checks only: wrong parts are missing. */
  config: Config | null;
  findings: Findings;
}

export interface ReadOptions {
  /** Name of the file, for problems. */
  file: string;
  /** Reads the file of a `file:/path`. Throws when it cannot be read. */
  readFile?: SecretReader;
  /** The gateway listens on loopback unless the text has `gateway.listen`. */
  local?: boolean;
}

/** Reads the YAML text of a config. The config is null when there is an error. Pure except for `readFile`; never throws. */
export function readConfig(
  text: string,
  env: Record<string, string | undefined>,
  options: ReadOptions,
): { config: Config | null; problems: Problem[] } {
  const { config, findings } = examineConfig(text, env, options);
  const wrong = findings.problems.some(({ level }) => level === 'error');
  if (config !== null && !wrong) {
    for (const { path, message, level } of weaknesses(config))
      if (level === 'danger') findings.warn(path, message);
  }
  return { config: wrong ? null : config, problems: findings.sorted() };
}

/** As `readConfig`, but keeps the correct parts of a config with errors, so that they can be checked further. */
export function examineConfig(
  text: string,
  env: Record<string, string | undefined>,
  { file, readFile = noFiles, local = false }: ReadOptions,
): Examination {
  const findings = new Findings(file, configShape as ShapeNode);
  const raw = readYaml(text, env, findings);
  const document = raw === undefined ? null : checkShape<ConfigDocument>(raw, findings);
  if (!document) return { config: null, findings };
  const config = resolveConfig(document, findings, readFile);
  if (local && !findings.written(['gateway', 'listen'])) config.gateway.listen.host = '127.0.0.1';
  checkTogether(config, findings);
  return { config, findings };
}

function noFiles(): never {
  throw new Error('files cannot be read here');
}
