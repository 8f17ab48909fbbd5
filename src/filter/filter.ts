import { structuredEvent } from '../cloudevents/attribute-reader.ts';
import type { SubscriptionConfig } from '../config/subscription/types.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { compileAttributeFilters } from './attributes.ts';
import { compileExpression } from './expression.ts';
import { membersOf } from './members.ts';
import { eventMaker } from './seen-event.ts';

/** A compiled filter. */
export interface Filter {
  /** True when the subscription wants the record. An expression that fails (a field is missing) does not want it. */
  match(record: StoredRecord): boolean;
  /** How often the expression has failed. */
  readonly errors: number;
}

/** The filter of a subscription, from its `filters` and `filter`; null when it wants everything. Throws as `compileFilter`. */
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

/**
 * Compiles a CEL expression over `event`: the attributes by name, and `event.data`, the parsed JSON. Throws
 * an Error whose message says what is wrong. `more`: further variables, whose values are read at each match.
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
        // Counted below.
      }
      this.errors++;
      return false;
    },
  };
}

/**
 * Compiles a CEL expression over `event`, whose value may be of any type. Throws an Error whose message says what is
 * wrong; so does the function that it returns, for a record on which the expression fails.
 */
export function compileValue(text: string): (record: StoredRecord) => unknown {
  const { program } = compileExpression(text, { event: 'map' });
  const eventOf = eventMaker(membersOf(program.ast, 'event'), true);
  return (record) => program({ event: eventOf(record) });
}

/** The problem with a CEL expression, or null. */
export function filterProblem(text: string): string | null {
  try {
    compileFilter(text);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
