import {
  addHash,
  countOf,
  emptySketch,
  hashOf,
  mergeSketch,
  readSketch,
  type Sketch,
  writeSketch,
} from './sketch.ts';

/** Makes one result. Its state is one value, which the value returned by `add` or `merge` replaces. */
export interface Aggregate<S = unknown> {
  /** Whether it reads a value of the event; `count` does not. */
  readonly takesValue: boolean;
  empty(): S;
  /** `value` is undefined where the event has none; `time` in ms since 1970. */
  add(state: S, value: unknown, time: number): S;
  /** The state after the events of both, those of `a` first. */
  merge(a: S, b: S): S;
  /** Null when there is no result, such as the least of no numbers. */
  result(state: S): unknown;
  /** Whether the result is not exact: an estimate, or cut. */
  isRough(state: S): boolean;
  /** The state as JSON, without loss; `read` is the inverse. */
  write(state: S): unknown;
  read(written: unknown): S;
}

/** Values that `collect` keeps; later ones are left out. */
const MAX_COLLECTED = 100;
/** Characters of JSON. A longer value is kept as null. */
const MAX_VALUE = 8_192;

const same = { isRough: () => false, write: <T>(state: T): unknown => state, takesValue: true };
const asNumber = (value: unknown): number | null => {
  const number = typeof value === 'bigint' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
};

const count: Aggregate<number> = {
  ...same,
  takesValue: false,
  empty: () => 0,
  add: (state) => state + 1,
  merge: (a, b) => a + b,
  result: (state) => state,
  read: (written) => written as number,
};

/** Neumaier's sum: `rest` keeps the rounding errors, so that the order of events changes at most the last digit. */
interface Sum {
  sum: number;
  rest: number;
  count: number;
}

function addTo(state: Sum, value: number): void {
  const sum = state.sum + value;
  state.rest += Math.abs(state.sum) >= Math.abs(value) ? state.sum - sum + value : value - sum + state.sum;
  state.sum = sum;
}

const sum: Aggregate<Sum> = {
  ...same,
  empty: () => ({ sum: 0, rest: 0, count: 0 }),
  add(state, value) {
    const number = asNumber(value);
    if (number === null) return state;
    addTo(state, number);
    state.count++;
    return state;
  },
  merge(a, b) {
    addTo(a, b.sum);
    a.rest += b.rest;
    a.count += b.count;
    return a;
  },
  result: (state) => state.sum + state.rest,
  write: ({ sum: total, rest, count: n }) => (rest === 0 ? [total, n] : [total, n, rest]),
  read(written) {
    const [total, n, rest = 0] = written as number[];
    return { sum: total!, rest, count: n! };
  },
};

const avg: Aggregate<Sum> = {
  ...sum,
  result: (state) => (state.count === 0 ? null : (state.sum + state.rest) / state.count),
};

function extreme(better: (a: number, b: number) => boolean): Aggregate<number | null> {
  const choose = (a: number | null, b: number | null) => (a === null || (b !== null && better(b, a)) ? b : a);
  return {
    ...same,
    empty: () => null,
    add: (state, value) => choose(state, asNumber(value)),
    merge: choose,
    result: (state) => state,
    read: (written) => written as number | null,
  };
}

const distinct: Aggregate<Sketch> = {
  ...same,
  empty: emptySketch,
  add(state, value) {
    if (value !== undefined && value !== null) addHash(state, hashOf(`${typeof value}${textOf(value)}`));
    return state;
  },
  merge(a, b) {
    mergeSketch(a, b);
    return a;
  },
  result: countOf,
  isRough: ({ values }) => values === null,
  write: writeSketch,
  read: (written) => readSketch(written as number[] | string),
};

/** A value and its event's time. */
type Timed = [value: unknown, time: number] | null;

/** The value of the earliest or the latest event; of two at the same time, the one read first, or last. */
function byTime(replaces: (time: number, before: number) => boolean): Aggregate<Timed> {
  return {
    ...same,
    empty: () => null,
    add: (state, value, time) => (state === null || replaces(time, state[1]) ? [keep(value), time] : state),
    merge: (a, b) => (a === null || (b !== null && replaces(b[1], a[1])) ? b : a),
    result: (state) => (state === null ? null : state[0]),
    read: (written) => written as Timed,
  };
}

const collect: Aggregate<unknown[]> = {
  ...same,
  empty: () => [],
  add(state, value) {
    if (value === undefined) return state;
    // One more than the result shows means that some are left out.
    if (state.length <= MAX_COLLECTED) state.push(state.length === MAX_COLLECTED ? 0 : keep(value));
    return state;
  },
  merge: (a, b) => [...a, ...b].slice(0, MAX_COLLECTED + 1),
  result: (state) => state.slice(0, MAX_COLLECTED),
  isRough: (state) => state.length > MAX_COLLECTED,
  read: (written) => written as unknown[],
};

// biome-ignore lint/suspicious/noExplicitAny: each has a state of its own type, which no other code reads.
const AGGREGATES: Record<string, Aggregate<any>> = {
  count,
  sum,
  avg,
  min: extreme((a, b) => a < b),
  max: extreme((a, b) => a > b),
  distinct,
  first: byTime((time, before) => time < before),
  last: byTime((time, before) => time >= before),
  collect,
};

/** Reads `sum(event.data.total)`: the aggregate, and the expression it is of. Throws an Error that says what is wrong. */
export function parseAggregate(text: string): { aggregate: Aggregate; argument: string | null } {
  const match = /^\s*([a-z]+)\s*\(([\s\S]*)\)\s*$/.exec(text);
  const name = match?.[1] ?? '';
  if (match === null || !Object.hasOwn(AGGREGATES, name))
    throw new Error(
      `must be one of ${Object.keys(AGGREGATES).join(', ')} with an expression, such as sum(event.data.total)`,
    );
  const aggregate: Aggregate = AGGREGATES[name]!;
  const argument = match[2]!.trim();
  if (aggregate.takesValue && argument === '') throw new Error(`${name} needs an expression`);
  if (!aggregate.takesValue && argument !== '') throw new Error(`${name} takes no expression`);
  return { aggregate, argument: aggregate.takesValue ? argument : null };
}

/** JSON of an expression's value. CEL's integers are bigints and its objects may be maps, which JSON.stringify does not take. */
export function textOf(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) => {
    if (typeof inner === 'bigint') return Number.isSafeInteger(Number(inner)) ? Number(inner) : String(inner);
    return inner instanceof Map ? Object.fromEntries(inner) : inner;
  });
}

/** The value for the state: plain JSON, so that it is the same before and after a restart. */
function keep(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  const text = textOf(value);
  return text.length > MAX_VALUE ? null : JSON.parse(text);
}
