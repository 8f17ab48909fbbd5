import type { CommandLine, OptionName } from './command-line.ts';

/** A name for the value (empty for a flag) and a summary, by option. */
type Options = Partial<Record<OptionName, [value: string, summary: string]>>;

/** One command. The usage text and the dispatch come from the list of them. */
export interface Command {
  /** One word or two. */
  name: string;
  /** Names of its arguments. One in brackets may be left out. */
  args?: string[];
  summary: string;
  /** Its options besides --config. */
  options?: Options;
  /** Resolves with false when the command failed and has printed why. Loads modules only when it runs. */
  run(line: CommandLine): Promise<boolean>;
}

const JSON_LINES: Options = { json: ['', 'prints JSON'] };
const SUBSCRIPTION: Options = {
  subscription: ['NAME', 'its subscription; required if the config has several'],
};
const TIMES: Options = {
  from: ['TIME', 'events from this time on, such as 2026-03-01 or 2026-03-01T08:30:00Z'],
  to: ['TIME', 'events before this time'],
};
const FILTER: Options = {
  filter: ['CEL', "only those that match, by event and letter: 'letter.status == 401'"],
};
const ADMIN: Options = {
  admin: ['URL', "admin port of a dispatcher (default: the config's); needs no config"],
  token: ['TOKEN', "one of its admin.tokens (default: $POSTERN_ADMIN_TOKEN, else the config's)"],
  ...JSON_LINES,
};

const open = async (line: CommandLine) => (await import('./config-file.ts')).openConfig(line);
const openAdmin = async (line: CommandLine) => (await import('./config-file.ts')).openAdmin(line);

export const COMMANDS: readonly Command[] = [
  {
    name: 'dev',
    summary: 'runs both roles on an embedded log, with a sample function; needs no Kafka and no Redis',
    options: {
      listen: ['HOST:PORT', "address for events (default: the config's gateway.listen, else 127.0.0.1:8080)"],
    },
    run: async (line) => (await import('./dev.ts')).dev(line),
  },
  {
    name: 'serve',
    summary: 'runs one role or both',
    options: { role: ['ROLES', 'gateway, dispatcher, or both with a comma (default: gateway,dispatcher)'] },
    run: async (line) => (await import('./serve.ts')).serve(line),
  },
  {
    name: 'check',
    summary: 'lists every problem of the config, the schemas and the filters; exit code 1 on errors',
    options: { production: ['', 'settings that are fit for a trial only are errors too'] },
    run: async (line) => (await import('./check.ts')).check(line),
  },
  {
    name: 'try',
    args: ['[FILE]'],
    summary: 'shows what would become of a payload (default: standard input); writes nothing',
    options: {
      source: ['NAME', 'its source; required'],
      type: ['TYPE', 'its Content-Type (default: application/json)'],
    },
    run: async (line) => (await import('./try.ts')).tryFile(line),
  },
  {
    name: 'dead-letters list',
    summary: 'lists events that could not be delivered to a subscription, and how many for each reason',
    options: {
      ...SUBSCRIPTION,
      ...TIMES,
      ...FILTER,
      limit: ['N', 'shows the newest N (default: 100)'],
      ...JSON_LINES,
    },
    run: async (line) => (await import('./dead-letters.ts')).listLetters(await open(line)),
  },
  {
    name: 'dead-letters show',
    args: ['PLACE'],
    summary: 'shows one with headers and payload; PLACE is partition:offset, as list prints it',
    options: { ...SUBSCRIPTION, ...JSON_LINES },
    run: async (line) => (await import('./dead-letters.ts')).showLetter(await open(line)),
  },
  {
    name: 'dead-letters redrive',
    summary: 'sends dead letters to their subscription again; a second run sends nothing twice',
    options: {
      ...SUBSCRIPTION,
      ...TIMES,
      ...FILTER,
      limit: ['N', 'sends at most N'],
      rate: ['N', 'sends at most N a second'],
      'dry-run': ['', 'only counts them'],
      ...JSON_LINES,
    },
    run: async (line) => (await import('./dead-letters.ts')).redriveLetters(await open(line)),
  },
  {
    name: 'replay',
    summary: "calls a subscription's function again with the events since --from, which is required",
    options: { ...SUBSCRIPTION, ...TIMES, rate: ['N', 'makes at most N calls a second'], ...JSON_LINES },
    run: async (line) => (await import('./replay.ts')).replayEvents(await open(line)),
  },
  {
    name: 'workflows list',
    args: ['[NAME]'],
    summary: 'lists the unfinished instances that a dispatcher holds',
    options: ADMIN,
    run: async (line) => (await import('./workflows.ts')).listWorkflows(await openAdmin(line)),
  },
  {
    name: 'workflows show',
    args: ['NAME', 'ID'],
    summary: 'shows one instance with its steps, its input and its results',
    options: ADMIN,
    run: async (line) => (await import('./workflows.ts')).showWorkflow(await openAdmin(line)),
  },
  {
    name: 'workflows retry',
    args: ['NAME', 'ID'],
    summary: 'tries a failed undo again',
    options: ADMIN,
    run: async (line) => (await import('./workflows.ts')).changeWorkflow(await openAdmin(line), 'retry'),
  },
  {
    name: 'workflows cancel',
    args: ['NAME', 'ID'],
    summary: 'undoes a running instance; ends a failed one as it is',
    options: ADMIN,
    run: async (line) => (await import('./workflows.ts')).changeWorkflow(await openAdmin(line), 'cancel'),
  },
  {
    name: 'streams export',
    args: ['NAME'],
    summary: 'prints the definition of a stream for another system',
    options: { to: ['flink-sql', 'Flink SQL; required'] },
    run: async (line) => (await import('./streams.ts')).exportStream(await open(line)),
  },
];
