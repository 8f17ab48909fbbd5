#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { OPTIONS, UsageError } from './cli/command-line.ts';
import { findCommand, USAGE } from './cli/usage.ts';
import { StartError } from './core/lifecycle.ts';
import { printableJson } from './core/printable.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

async function main(): Promise<void> {
  // Commands load their modules when they run, because most modules need a current Node.
  if (Number(process.versions.node.split('.')[0]) < 24) {
    throw new UsageError(`Postern needs Node 24 or later; this is ${process.version}`);
  }
  const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS });
  if (values.version) {
    process.stdout.write(`${version}\n`);
    return;
  }
  if (values.help || positionals.length === 0) {
    process.stdout.write(USAGE);
    if (!values.help) process.exitCode = 2;
    return;
  }
  const { command, args } = findCommand(positionals, Object.keys(values));
  if (!(await command.run({ args, values, version, print }))) process.exitCode = 1;
}

/** Prints a line that cannot control a terminal. Commands escape the text of others themselves, JSON is escaped here. */
function print(text: string): void {
  process.stdout.write(`${printableJson(text)}\n`);
}

try {
  await main();
} catch (error) {
  const known =
    error instanceof StartError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`postern: ${known ? (error as Error).message : (error as Error).stack}\n`);
  // The sample function may already listen, so the process would not end by itself.
  process.exit(2);
}
