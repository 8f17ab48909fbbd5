import { UsageError } from './command-line.ts';
import { COMMANDS, type Command } from './commands.ts';

/** Columns before the summaries. */
const WIDTH = 30;
const GENERAL: [form: string, summary: string][] = [
  ['  --config FILE', 'the config of any command (default: $POSTERN_CONFIG, else postern.yaml)'],
  ['  --help, --version', ''],
];

/** The text of --help. */
export const USAGE = `Usage: postern <command> [options]

${COMMANDS.map(usageOf).join('')}
${GENERAL.map(row).join('')}`;

/** One command with its options. */
function usageOf(command: Command): string {
  const options = Object.entries(command.options ?? {}).map(([name, [value, summary]]) =>
    row([`    --${name} ${value}`, `  ${summary}`]),
  );
  return row([`  ${formOf(command)}`, command.summary]) + options.join('');
}

function formOf({ name, args = [] }: Command): string {
  return [name, ...args].join(' ');
}

function row([form, summary]: [string, string]): string {
  return `${`${form.padEnd(WIDTH - 1)} ${summary}`.trimEnd()}\n`;
}

/**
 * Finds the command that the words of a command line begin with, and its arguments. Throws a UsageError when there is
 * none, or when it does not take the arguments or one of the options.
 */
export function findCommand(words: string[], options: string[]): { command: Command; args: string[] } {
  const command = COMMANDS.find(({ name }) => `${words.join(' ')} `.startsWith(`${name} `));
  if (command === undefined) throw unknown(words);
  const { name, args: names = [] } = command;
  const args = words.slice(name.split(' ').length);
  const wrong = options.find(
    (option) => option !== 'config' && !Object.hasOwn(command.options ?? {}, option),
  );
  if (wrong !== undefined) throw new UsageError(`--${wrong} does not go with ${name}; see postern --help`);
  if (args.length > names.length)
    throw new UsageError(`${name} does not take the argument ${args[names.length]}; see postern --help`);
  const missing = names.slice(args.length).find((one) => !one.startsWith('['));
  if (missing !== undefined) throw new UsageError(`${name} needs ${missing}: postern ${formOf(command)}`);
  return { command, args };
}

function unknown([first, second]: string[]): UsageError {
  const actions = COMMANDS.filter(({ name }) => name.startsWith(`${first} `)).map((command) =>
    formOf(command).slice(`${first} `.length),
  );
  const last = actions.pop();
  if (last === undefined) return new UsageError(`there is no command ${first}\n\n${USAGE}`);
  const wanted = actions.length === 0 ? last : `one of ${actions.join(', ')} and ${last}`;
  return new UsageError(`${first} needs ${wanted}${second === undefined ? '' : `, not ${second}`}`);
}
