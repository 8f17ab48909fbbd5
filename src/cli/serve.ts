import { dirname, resolve } from 'node:path';
import { run } from '../app/serve.ts';
import type { Role } from '../app/stores.ts';
import { type CommandLine, UsageError } from './command-line.ts';
import { configFile, loadConfig } from './config-file.ts';

/** `postern serve`: the roles of --role. */
export async function serve(line: CommandLine): Promise<boolean> {
  const roles = rolesOf(line.values.role ?? 'gateway,dispatcher');
  const file = configFile(line);
  await run({ config: loadConfig(file), base: dirname(resolve(file)), roles, version: line.version });
  return true;
}

function rolesOf(text: string): Role[] {
  return text.split(',').map((role) => {
    if (role !== 'gateway' && role !== 'dispatcher')
      throw new UsageError(`there is no role ${role}; the roles are gateway and dispatcher`);
    return role;
  });
}
