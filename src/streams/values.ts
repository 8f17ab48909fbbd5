import type { StreamConfig } from '../config/stream/types.ts';
import { compileExpression } from '../filter/expression.ts';
import { membersOf } from '../filter/members.ts';
import { eventMaker } from '../filter/seen-event.ts';
import { parsePointer, resolvePointer } from '../json/pointer.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { type Aggregate, parseAggregate } from './aggregate.ts';

/** The compiled expressions of a stream. All of them read the same parsed data of an event. */
export interface Values {
  readonly names: readonly string[];
  readonly aggregates: readonly Aggregate[];
  /** Makes what expressions see as `event`. */
  seen(record: StoredRecord): object;
  /** Whether the stream wants the event. An expression that fails does not want it, and is counted. */
  wants(seen: object): boolean;
  /** The values for the aggregates, in their order; undefined where the event has none. */
  of(seen: object): unknown[];
  /** The key at the config's pointer, as text; null when the event has none. */
  key(seen: object): string | null;
  /** Whether a window with these results emits an event. */
  having(results: Record<string, unknown>): boolean;
  /** How often the filter has failed since the last call. */
  takeErrors(): number;
}

type Read = (seen: object) => unknown;

/** Compiles all expressions of a stream. Throws an Error that names the one that is wrong, and why. */
export function compileValues(config: StreamConfig): Values {
  const problems = streamProblems(config);
  if (problems.length > 0)
    throw new Error(`stream ${config.name}: ${problems[0]!.path.join('.')} ${problems[0]!.detail}`);
  const names = Object.keys(config.aggregate);
  const parsed = names.map((name) => parseAggregate(config.aggregate[name]!));
  const members = new Set<string>();
  let isWhole = false;
  const compiled = (text: string): Read => {
    const { program } = compileExpression(text, { event: 'map' });
    const named = membersOf(program.ast, 'event');
    if (named === null) isWhole = true;
    for (const name of named ?? []) members.add(name);
    return plainPath(program.ast) ?? ((event) => program({ event }));
  };
  const filter = config.filter === null ? null : compiled(config.filter);
  const reads = parsed.map(({ argument }) => (argument === null ? null : compiled(argument)));
  if (config.key !== null) members.add('data');
  const seen = eventMaker(isWhole ? null : members, filter === null);
  const having = config.having === null ? null : compileHaving(config.having, names);
  let errors = 0;
  const pointer = config.key === null ? [] : parsePointer(config.key);
  return {
    names,
    aggregates: parsed.map(({ aggregate }) => aggregate),
    takeErrors() {
      const taken = errors;
      errors = 0;
      return taken;
    },
    seen,
    wants(event) {
      if (filter === null) return true;
      try {
        const result = filter(event);
        if (typeof result === 'boolean') return result;
      } catch {
        // Such as a member that is missing. Counted below.
      }
      errors++;
      return false;
    },
    of: (event) => reads.map((read) => (read === null ? undefined : tryRead(read, event))),
    key: (event) => keyText((event as { data?: unknown }).data, pointer),
    having: (results) => having === null || having(results),
  };
}

/** A member that is missing is no value. */
function tryRead(read: Read, event: object): unknown {
  try {
    return read(event);
  } catch {
    return undefined;
  }
}

/** Reads a path such as `event.data.total` without the evaluator, which is slow; null for other expressions. */
function plainPath(ast: ReturnType<typeof compileExpression>['program']['ast']): Read | null {
  const names: string[] = [];
  let node = ast;
  while (node.op === '.') {
    const [inner, name] = node.args as [typeof ast, string];
    names.unshift(name);
    node = inner;
  }
  if (node.op !== 'id' || node.args !== 'event' || names.length === 0) return null;
  return (event) => {
    let here: unknown = event;
    for (const name of names) {
      if (typeof here !== 'object' || here === null) return undefined;
      if (here instanceof Map) here = here.get(name);
      else if (Object.hasOwn(here, name)) here = (here as Record<string, unknown>)[name];
      else return undefined;
    }
    return here;
  };
}

function keyText(data: unknown, pointer: string[]): string | null {
  const value = resolvePointer(data, pointer);
  if (typeof value === 'string') return value === '' ? null : value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

function compileHaving(
  text: string,
  names: readonly string[],
): (results: Record<string, unknown>) => boolean {
  const variables = Object.fromEntries(names.map((name) => [name, 'dyn']));
  const { program } = compileExpression(text, variables);
  return (results) => {
    try {
      return program(results) === true;
    } catch {
      // There is no result to compare yet, such as the least of no numbers.
      return false;
    }
  };
}

/** Members of each emitted event's data: no result can have such a name. */
const RESERVED_NAMES = new Set(['stream', 'key', 'start', 'end', 'approximate']);

/** The problems with the expressions of a stream, each with its path in the config. */
export function streamProblems(config: StreamConfig): { path: string[]; detail: string }[] {
  const problems: { path: string[]; detail: string }[] = [];
  const names = Object.keys(config.aggregate);
  const check = (path: string[], work: () => void) => {
    try {
      work();
    } catch (error) {
      // Further lines of the message draw the expression and a caret.
      problems.push({ path, detail: (error as Error).message.split('\n')[0]! });
    }
  };
  const isBool = (text: string, variables: Record<string, string>) => {
    const { type } = compileExpression(text, variables);
    if (type !== 'bool' && type !== 'dyn') throw new Error(`must be a bool, not ${type}`);
  };
  if (config.filter !== null) check(['filter'], () => isBool(config.filter!, { event: 'map' }));
  for (const name of names) {
    check(['aggregate', name], () => {
      if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) || RESERVED_NAMES.has(name))
        throw new Error('is no name that a result can have');
      const { argument } = parseAggregate(config.aggregate[name]!);
      if (argument !== null) compileExpression(argument, { event: 'map' });
    });
  }
  if (config.having !== null && problems.length === 0)
    check(['having'], () => isBool(config.having!, Object.fromEntries(names.map((name) => [name, 'dyn']))));
  return problems;
}
