import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
import { type AttributeReader, attributeReader, structuredEvent } from '../cloudevents/attribute-reader.ts';
import { isJsonType } from '../cloudevents/content-type.ts';
import {
  type CloudEvent,
  cloudEvent,
  contentTypeOf,
  isStructured,
  parseJson,
  utf8Text,
} from '../cloudevents/record.ts';
import type { SubscriptionConfig } from '../config/subscription/types.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { compileAttributeFilters } from './attributes.ts';
import { membersOf } from './members.ts';

/** A compiled filter. */
export interface Filter {
  /** True when the subscription wants the record. An expression that fails (a field is missing) does not want it. */
  match(record: StoredRecord): boolean;
  /** How often the expression failed so far. */
  readonly errors: number;
}

const PATTERNS = 100;

/** What a subscription's `filters` and `filter` want together; null when it wants everything. Throws as `compileFilter`. */
export function makeFilter({
  filter,
  filters,
}: Pick<SubscriptionConfig, 'filter' | 'filters'>): Filter | null {
  const expression = filter === null ? null : compileFilter(filter);
  if (filters.length === 0) return expression;
  const test = compileAttributeFilters(filters);
  return {
    get errors() {
      return expression?.errors ?? 0;
    },
    match: (record) => test(record, structuredEvent(record)) && (expression?.match(record) ?? true),
  };
}

/** Compiles a CEL expression over variables of these types. Throws an Error whose message says what is wrong. */
export function compileExpression(
  text: string,
  variables: Record<string, string>,
): { program: { (values: Record<string, unknown>): unknown; readonly ast: ASTNode }; type: string } {
  const environment = makeEnvironment();
  for (const [name, type] of Object.entries(variables)) environment.registerVariable(name, type);
  const program = environment.parse(text);
  useSafePatterns(program.ast);
  const { valid, type, error } = program.check();
  if (!valid) throw error ?? new Error('the expression is not valid');
  return { program, type: type ?? 'dyn' };
}

/**
 * Compiles a CEL expression over `event`: the attributes by name, and `event.data`, the parsed JSON. Throws
 * an Error whose message says what is wrong. `more`: further variables, which are asked for at each match.
 */
export function compileFilter(text: string, more: Record<string, () => object> = {}): Filter {
  const names = Object.keys(more);
  const variables = Object.fromEntries(names.map((name) => [name, 'map']));
  const { program, type } = compileExpression(text, { ...variables, event: 'map' });
  if (type !== 'bool' && type !== 'dyn') throw new Error(`the expression must be a bool, not ${type}`);
  const eventOf = eventMaker(membersOf(program.ast, 'event'));
  return {
    errors: 0,
    match(this: { errors: number }, record: StoredRecord): boolean {
      try {
        const values: Record<string, object> = { event: eventOf(record) };
        for (const name of names) values[name] = more[name]!();
        const result: unknown = program(values);
        if (typeof result === 'boolean') return result;
      } catch {
        // Counted below: a filter says yes or is not asked again.
      }
      this.errors++;
      return false;
    },
  };
}

/**
 * Compiles a CEL expression over `event` to what it says of a record; that throws where the expression fails. Throws
 * an Error whose message says what is wrong.
 */
export function compileValue(text: string): (record: StoredRecord) => unknown {
  const { program } = compileExpression(text, { event: 'map' });
  const eventOf = eventMaker(membersOf(program.ast, 'event'), true);
  return (record) => program({ event: eventOf(record) });
}

/** What is wrong with a CEL expression, or null. */
export function filterProblem(text: string): string | null {
  try {
    compileFilter(text);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

const source = Symbol('source');

interface Seen {
  /** Of a structured record, which is parsed already, the event. */
  [source]: StoredRecord | CloudEvent;
  [attribute: string]: unknown;
}

/** One getter for all: an object with a getter of its own gets a hidden class of its own, which keeps all alive. */
const lazyData: PropertyDescriptor & ThisType<Seen> = {
  configurable: true,
  enumerable: true,
  get() {
    const data = parseData(this[source]);
    Object.defineProperty(this, 'data', { value: data, enumerable: true });
    return data;
  },
};

/**
 * Makes what an expression sees as `event`: the members that it names, or all. The data is parsed when it is asked for;
 * at once, which is cheaper, when `eager` says that it always is.
 */
export function eventMaker(
  members: ReadonlySet<string> | null,
  eager = false,
): (record: StoredRecord) => object {
  if (members === null) return wholeEvent;
  const readers: [string, AttributeReader][] = [];
  for (const name of members) if (name !== 'data') readers.push([name, attributeReader(name)]);
  const hasData = members.has('data');
  return (record) => {
    const event = structuredEvent(record);
    const seen: Seen = { [source]: event ?? record };
    for (const [name, reader] of readers) {
      const text = reader.text(record, event);
      if (text !== undefined) seen[name] = text;
    }
    if (!hasData) return seen;
    if (!eager) return Object.defineProperty(seen, 'data', lazyData);
    seen.data = parseData(seen[source]);
    return seen;
  };
}

function wholeEvent(record: StoredRecord): object {
  const event = cloudEvent(record);
  if (event.contentType !== null) event.attributes.datacontenttype = event.contentType;
  const seen: Seen = Object.assign({ [source]: event }, event.attributes);
  // The last one: to know a map's type, the evaluator looks at its first member.
  return Object.defineProperty(seen, 'data', lazyData);
}

function parseData(from: StoredRecord | CloudEvent): unknown {
  const { data, contentType } =
    'value' in from ? { data: from.value, contentType: contentTypeOf(from) } : from;
  if (data === null) return undefined;
  if (contentType !== null && !isJsonType(contentType) && !isStructured(contentType)) return undefined;
  const text = utf8Text(data);
  if (text === undefined) return undefined;
  const json = parseJson(text);
  // A member called `constructor`, maybe written with escapes, hides from the evaluator what its object is.
  return text.includes('constructor') || text.includes('\\u') ? withMaps(json) : json;
}

/** JSON as expressions take it, whatever its members are called. */
export function withMaps(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withMaps);
  return new Map(Object.entries(value).map(([name, inner]) => [name, withMaps(inner)]));
}

/** JSON has one kind of number, which is `double` here, while `1` in an expression is `int`: they may be mixed. */
function makeEnvironment(): Environment {
  const environment = new Environment({ limits: { maxDepth: 100 } });
  const operators: [string, (a: number, b: number) => number][] = [
    ['+', (a, b) => a + b],
    ['-', (a, b) => a - b],
    ['*', (a, b) => a * b],
    ['/', (a, b) => a / b],
    ['%', (a, b) => a % b],
  ];
  for (const [sign, run] of operators) {
    const mixed = (a: unknown, b: unknown) => run(Number(a), Number(b));
    environment.registerOperator(`double ${sign} int: double`, mixed);
    environment.registerOperator(`int ${sign} double: double`, mixed);
  }
  environment.registerOperator('double % double: double', (a: number, b: number) => a % b);
  const patterns = new Map<string, RE2JS>();
  environment.registerFunction('string.matchesSafely(string): bool', (text: string, pattern: string) => {
    let compiled = patterns.get(pattern);
    if (compiled === undefined) {
      compiled = RE2JS.compile(pattern);
      if (patterns.size >= PATTERNS) patterns.clear();
      patterns.set(pattern, compiled);
    }
    return compiled.test(text);
  });
  return environment;
}

/** CEL's patterns are RE2's, in linear time; the library's `matches` backtracks, so one event could hold up all. */
function useSafePatterns(node: ASTNode): void {
  const args: unknown[] = Array.isArray(node.args) ? node.args : [node.args];
  if (node.op === 'rcall' && args[0] === 'matches') args[0] = 'matchesSafely';
  for (const inner of args.flat(3)) {
    if (typeof inner === 'object' && inner !== null && 'op' in inner) useSafePatterns(inner as ASTNode);
  }
}
