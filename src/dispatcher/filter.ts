import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
import type { StoredRecord } from '../ports/event-log.ts';
import { type CloudEvent, cloudEvent, isJsonType, isStructured, parseJson } from './cloudevent.ts';

/** A compiled filter. */
export interface Filter {
  /** True when the subscription wants the record. An expression that fails (a field is missing) does not want it. */
  match(record: StoredRecord): boolean;
  /** How often the expression failed so far. */
  readonly errors: number;
}

const PATTERNS = 100;

/**
 * Compiles a CEL expression over `event`: the attributes by name, and `event.data`, the parsed JSON. Throws
 * an Error whose message says what is wrong. `more`: further variables, which are asked for at each match.
 */
export function compileFilter(text: string, more: Record<string, () => object> = {}): Filter {
  const environment = makeEnvironment();
  const names = Object.keys(more);
  for (const name of names) environment.registerVariable(name, 'map');
  const program = environment.parse(text);
  useSafePatterns(program.ast);
  const { valid, type, error } = program.check();
  if (!valid) throw error ?? new Error('the expression is not valid');
  if (type !== 'bool' && type !== 'dyn') throw new Error(`the expression must be a bool, not ${type}`);
  return {
    errors: 0,
    match(this: { errors: number }, record: StoredRecord): boolean {
      try {
        const values: Record<string, object> = { event: filterEvent(record) };
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
  [source]: CloudEvent;
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

/** What an expression sees as `event`. The data is parsed only when the expression asks for it. */
function filterEvent(record: StoredRecord): object {
  const event = cloudEvent(record);
  const seen: Seen = { [source]: event };
  Object.defineProperty(seen, 'data', lazyData);
  if (event.contentType !== null) event.attributes.datacontenttype = event.contentType;
  return Object.assign(seen, event.attributes);
}

function parseData({ data, contentType }: CloudEvent): unknown {
  if (data === null) return undefined;
  if (contentType !== null && !isJsonType(contentType) && !isStructured(contentType)) return undefined;
  const json = parseJson(data);
  // A member called `constructor`, maybe written with escapes, hides from the evaluator what its object is.
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return text.includes('constructor') || text.includes('\\u') ? withMaps(json) : json;
}

function withMaps(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withMaps);
  return new Map(Object.entries(value).map(([name, inner]) => [name, withMaps(inner)]));
}

/** JSON has one kind of number, which is `double` here, while `1` in an expression is `int`: they may be mixed. */
function makeEnvironment(): Environment {
  const environment = new Environment({ limits: { maxDepth: 100 } }).registerVariable('event', 'map');
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
