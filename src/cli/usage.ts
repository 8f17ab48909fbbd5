import { UsageError } from './command-line.ts';

/** What --help prints. */
export const USAGE = `Usage: postern <command> [options]

  dev                        both roles on an embedded log, with a sample function; needs no Kafka and no Redis
  serve                      the roles named by --role (default: gateway,dispatcher)
  check                      lists every problem of the config, the schemas and the filters; exit 1 on errors
  check --production         the same; settings that are fit for a trial only are errors
  try --source NAME [FILE]   what would become of this payload (default: standard input); writes nothing
  dead-letters list          what could not be delivered to a subscription, and how often for which reason
  dead-letters show PLACE    one of them with headers and payload; PLACE is partition:offset, as list prints it
  dead-letters redrive       sends them to that subscription again; run twice, it sends nothing twice
  replay --from TIME         calls a subscription's function again with the events of a time

  workflows list [NAME]      the instances that a dispatcher holds and that are not over
  workflows show NAME ID     one of them with its steps, what began it, and its results
  workflows retry NAME ID    tries again to undo what could not be undone
  workflows cancel NAME ID   undoes a running instance; ends a failed one as it is

  streams export NAME        a stream's definition for another system; needs --to flink-sql

  --config FILE              the config (default: $POSTERN_CONFIG, else postern.yaml)
  --listen HOST:PORT         dev: where it takes events (default: the config's gateway.listen, else 127.0.0.1:8080)
  --role ROLES               serve: gateway, dispatcher, or both with a comma
  --type TYPE                try: the Content-Type (default: application/json)
  --subscription NAME        dead-letters, replay: whose; needed unless the config has only one
  --from TIME, --to TIME     list, redrive, replay: of this time and before that one, such as 2026-03-01T08:30:00Z
  --to flink-sql             streams export: Flink SQL
  --filter CEL               list, redrive: over event and letter, such as 'letter.status == 401'
  --limit N                  list: shows so many (default: 100); redrive: sends so many
  --rate N                   redrive: dead letters a second; replay: calls a second
  --dry-run                  redrive: sends nothing, only counts
  --admin URL                workflows: of a dispatcher's admin port (default: the config's); needs no config
  --token TOKEN              workflows: of admin.tokens (default: $POSTERN_ADMIN_TOKEN, else the config's)
  --json                     dead-letters, replay, workflows: for machines
  --help, --version
`;

/** All options, for `parseArgs`. */
export const OPTIONS = {
  config: { type: 'string' },
  listen: { type: 'string' },
  production: { type: 'boolean' },
  role: { type: 'string' },
  source: { type: 'string' },
  type: { type: 'string' },
  subscription: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  filter: { type: 'string' },
  limit: { type: 'string' },
  rate: { type: 'string' },
  'dry-run': { type: 'boolean' },
  admin: { type: 'string' },
  token: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
  version: { type: 'boolean' },
} as const;

/** What each command takes beside --config. */
const COMMANDS: Record<string, { options: string[]; arguments: number }> = {
  dev: { options: ['listen'], arguments: 0 },
  serve: { options: ['role'], arguments: 0 },
  check: { options: ['production'], arguments: 0 },
  try: { options: ['source', 'type'], arguments: 1 },
  'dead-letters': {
    options: ['subscription', 'from', 'to', 'filter', 'limit', 'rate', 'dry-run', 'json'],
    arguments: 2,
  },
  replay: { options: ['subscription', 'from', 'to', 'rate', 'json'], arguments: 0 },
  streams: { options: ['to'], arguments: 2 },
  workflows: { options: ['admin', 'token', 'json'], arguments: 3 },
};

/** Throws on a command that is not there, and on what it does not take. */
export function checkUsage(command: string, options: string[], rest: string[]): void {
  const known = Object.hasOwn(COMMANDS, command) ? COMMANDS[command]! : null;
  if (known === null) throw new UsageError(`there is no command ${command}\n\n${USAGE}`);
  const wrong = options.find((name) => name !== 'config' && !known.options.includes(name));
  if (wrong !== undefined) throw new UsageError(`--${wrong} does not go with ${command}; see postern --help`);
  if (rest.length > known.arguments)
    throw new UsageError(
      `${command} does not take the argument ${rest[known.arguments]}; see postern --help`,
    );
}
