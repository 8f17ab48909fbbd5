import type { Config } from '../config/config.ts';
import type { SourceConfig } from '../config/source/types.ts';
import { fillVariables } from '../config/text/variables.ts';

/** A secret that is not in the bundle. `text` is its text in the config, such as `${GITHUB_SECRET}`. */
export interface BoundSecret {
  source: string;
  kind: 'keys' | 'verify';
  index: number;
  text: string;
}

/** The part of a config in an edge bundle: no stores, no functions, and no secret that comes from a variable. */
export interface EdgeConfig {
  gateway: Config['gateway'];
  /** Milliseconds after which the origin answers `retry`. */
  timeout: number;
  sources: SourceConfig[];
  secrets: BoundSecret[];
}

/** A bundle cannot run. The message names the missing binding. */
export class BindingError extends Error {
  override readonly name = 'BindingError';
}

/** Makes the part of a config that a bundle holds. */
export function edgeConfig(config: Config, secrets: BoundSecret[]): EdgeConfig {
  const sources = [...config.sources.values()].map((source) => structuredClone(source));
  for (const secret of secrets) place(sources, secret, '');
  return { gateway: config.gateway, timeout: config.log.timeout, sources, secrets };
}

/** Puts the secrets of the bindings into the config. Throws a BindingError when one is missing or empty. */
export function withSecrets(
  { gateway, sources, secrets }: EdgeConfig,
  env: Readonly<Record<string, unknown>>,
): Pick<Config, 'gateway' | 'sources'> {
  const filled = structuredClone(sources);
  for (const secret of secrets) {
    const value = fillVariables(secret.text, env, {
      fault({ whole }) {
        throw new BindingError(`source ${secret.source} needs the binding of ${whole}`);
      },
    });
    if (value.trim() === '') throw new BindingError(`source ${secret.source}: ${secret.text} is empty`);
    place(filled, secret, value);
  }
  return {
    gateway,
    sources: new Map(filled.map((source) => [source.name, source])),
  };
}

function place(sources: SourceConfig[], { source, kind, index }: BoundSecret, value: string): void {
  const found = sources.find(({ name }) => name === source)!;
  if (kind === 'keys') found.keys[index]!.key = value;
  else found.verify!.secrets[index] = value;
}
