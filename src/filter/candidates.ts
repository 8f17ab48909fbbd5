import { type AttributeReader, attributeReader, structuredEvent } from '../cloudevents/attribute-reader.ts';
import type { CloudEvent } from '../cloudevents/record.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { type AttributeCondition, type Condition, necessaryCondition, type Wanted } from './conditions.ts';

/** Finds the filters of many that a record may match, by the values of the attributes that decide. */
export interface FilterIndex {
  /**
   * Places of the filters that may match the record or fail on it, in order and each once. All others are false for
   * it and count no error. The array is the index's own.
   */
  candidates(record: StoredRecord): readonly number[];
}

/** A filter with more conditions, one of which must hold, meets each event. */
const MOST_CONDITIONS = 256;
/** Attributes that each event has. */
const ALWAYS_PRESENT: ReadonlySet<string> = new Set(['id', 'source', 'type', 'specversion']);
/** Attributes that are the same in nearly all events. */
const ALIKE = new Set(['specversion', 'datacontenttype']);
/** Costs of conditions as numbers of filters that an event meets needlessly: guesses, which only order the choices. */
const COST = { alike: 1000, present: 1000, absent: 16, prefix: 8, exact: 1 };

/**
 * Builds the index once for all filters; it holds a few entries for each. A filter that no attribute decides meets
 * each event. Throws where an expression cannot be parsed.
 */
export function makeFilterIndex(filters: readonly Wanted[]): FilterIndex {
  const all = filters.map((_, place) => place);
  // One filter is as cheap as a look into the index.
  if (filters.length < 2) return { candidates: () => all };
  const conditions = filters.map(necessaryCondition);
  const cost = makeCost(conditions);
  const attributes = new Map<string, AttributeIndex>();
  const always: number[] = [];
  for (const [place, condition] of conditions.entries()) {
    const chosen = choose(condition, ALWAYS_PRESENT, cost);
    if (chosen === null) always.push(place);
    for (const one of chosen ?? []) {
      const index = attributes.get(one.attribute) ?? new AttributeIndex(one.attribute);
      attributes.set(one.attribute, index);
      index.add(one, place);
    }
  }
  const indexes = [...attributes.values()];
  return {
    candidates(record) {
      if (indexes.length === 0) return always;
      let event: CloudEvent | null;
      try {
        event = structuredEvent(record);
      } catch {
        // Data of thousands of levels overflow the stack. Each filter then fails on its own, as without an index.
        return all;
      }
      let found: readonly number[] = always;
      for (const index of indexes) found = index.find(record, event, found);
      return found;
    },
  };
}

type Cost = (condition: AttributeCondition) => number;

/** A value that many filters want tells little: it would wake all of them. */
function makeCost(conditions: readonly Condition[]): Cost {
  const uses = new Map<string, number>();
  const keyOf = ({ attribute, kind, value }: AttributeCondition) => `${kind} ${attribute} ${value}`;
  const count = (condition: Condition): void => {
    if (condition === null) return;
    if ('all' in condition) condition.all.forEach(count);
    else if ('any' in condition) condition.any.forEach(count);
    else uses.set(keyOf(condition), (uses.get(keyOf(condition)) ?? 0) + 1);
  };
  conditions.forEach(count);
  return (condition) => {
    const { attribute, kind, value } = condition;
    if (kind === 'absent') return COST.absent;
    if (kind === 'prefix' && value === '') return COST.present;
    if (ALIKE.has(attribute)) return COST.alike;
    return COST[kind] * uses.get(keyOf(condition))!;
  };
}

/** Conditions of which one must hold wherever the whole does; null when there is no short list of such. */
function choose(
  condition: Condition,
  present: ReadonlySet<string>,
  cost: Cost,
): readonly AttributeCondition[] | null {
  if (condition === null) return null;
  if ('any' in condition) {
    const union: AttributeCondition[] = [];
    for (const part of condition.any) {
      const chosen = choose(part, present, cost);
      if (chosen === null || union.length + chosen.length > MOST_CONDITIONS) return null;
      union.push(...chosen);
    }
    return union;
  }
  if (!('all' in condition))
    return condition.kind === 'absent' && present.has(condition.attribute) ? [] : [condition];
  const parts = flat(condition.all);
  // `has(event.x) && event.x == "a"` never fails, so events without the attribute need not meet it.
  const known = new Set(present);
  for (const part of parts)
    if (part !== null && 'kind' in part && part.kind !== 'absent') known.add(part.attribute);
  let best: readonly AttributeCondition[] | null = null;
  let least = Infinity;
  for (const part of parts) {
    const chosen = choose(part, known, cost);
    if (chosen === null) continue;
    const sum = chosen.reduce((total, one) => total + cost(one), 0);
    if (sum < least) [best, least] = [chosen, sum];
  }
  return best;
}

function flat(all: readonly Condition[]): Condition[] {
  return all.flatMap((part) => (part !== null && 'all' in part ? flat(part.all) : [part]));
}

type Places = number[];

/** The filters that hang on one attribute. */
class AttributeIndex {
  readonly #reader: AttributeReader;
  readonly #exact = new Map<string, Places>();
  /** By length, the shortest first. */
  readonly #prefixes: { length: number; places: Map<string, Places> }[] = [];
  readonly #absent: Places = [];

  constructor(attribute: string) {
    this.#reader = attributeReader(attribute);
  }

  /** Places come in order. */
  add({ kind, value }: AttributeCondition, place: number): void {
    let places = this.#absent;
    if (kind === 'exact') places = placesOf(this.#exact, value);
    if (kind === 'prefix') places = placesOf(this.#withLength(value.length), value);
    if (places.at(-1) !== place) places.push(place);
  }

  /** `found` and the places of the filters that may match by this attribute. */
  find(record: StoredRecord, event: CloudEvent | null, found: readonly number[]): readonly number[] {
    const text = this.#reader.text(record, event);
    if (text === undefined) return merged(found, this.#absent);
    let all = merged(found, this.#exact.get(text));
    for (const { length, places } of this.#prefixes) {
      if (length > text.length) break;
      all = merged(all, places.get(text.slice(0, length)));
    }
    return all;
  }

  #withLength(length: number): Map<string, Places> {
    let at = this.#prefixes.findIndex((one) => one.length >= length);
    if (at === -1) at = this.#prefixes.length;
    if (this.#prefixes[at]?.length !== length) this.#prefixes.splice(at, 0, { length, places: new Map() });
    return this.#prefixes[at]!.places;
  }
}

function placesOf(map: Map<string, Places>, value: string): Places {
  const places = map.get(value) ?? [];
  map.set(value, places);
  return places;
}

/** Both in order, without those that are in both. As a rule one is empty, and nothing is copied. */
function merged(left: readonly number[], right: readonly number[] | undefined): readonly number[] {
  if (right === undefined || right.length === 0) return left;
  if (left.length === 0) return right;
  const both: number[] = [];
  for (let i = 0, j = 0; i < left.length || j < right.length; ) {
    const a = left[i] ?? Infinity;
    const b = right[j] ?? Infinity;
    both.push(Math.min(a, b));
    if (a <= b) i++;
    if (b <= a) j++;
  }
  return both;
}
