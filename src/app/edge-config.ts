import type { Config } from '../config/config.ts';
import type { SourceConfig } from '../config/source/types.ts';
import { fillVariables } from '../config/variables.ts';

/** A secret that the bundle does not hold: what the config says in its place, such as `${GITHUB_SECRET}`. */
export interface BoundSecret {
  source: string;
  kind: 'keys' | 'verify';
  index: number;
  text: string;
}

/** What an edge bundle holds of a config: nothing of stores and functions, and no secret that a variable names. */
export interface EdgeConfig {
  gateway: Config['gateway'];
  /** Milliseconds that the origin takes at most until it says `retry`. */
  timeout: number;
  sources: SourceConfig[];
  secrets: BoundSecret[];
}

/** Why a bundle cannot run: its message names the binding. */
export class BindingError extends Error {
  override readonly name = 'BindingError';
}

/** The part of a config that a bundle holds. */
export function edgeConfig(config: Config, secrets: BoundSecret[]): EdgeConfig {
  const sources = [...config.sources.values()].map((source) => structuredClone(source));
  for (const secret of secrets) place(sources, secret, '');
  return { gateway: config.gateway, timeout: config.log.timeout, sources, secrets };
}

/** The config with its secrets put in. Throws BindingError when one is missing or empty. */
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
