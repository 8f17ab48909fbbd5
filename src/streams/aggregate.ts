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

/** How one result is made. Its state is one value, which is replaced by what `add` and `merge` return. */
export interface Aggregate<S = unknown> {
  /** Whether it looks at a value of the event; `count` does not. */
  readonly takesValue: boolean;
  empty(): S;
  /** `value` is undefined where the event has none; `time` in ms since 1970. */
  add(state: S, value: unknown, time: number): S;
  /** What both have seen, `a` before `b`. */
  merge(a: S, b: S): S;
  /** Null when there is nothing to say, such as the least of no numbers. */
  result(state: S): unknown;
  /** Whether the result is not exact: guessed, or cut. */
  isRough(state: S): boolean;
  /** As JSON can hold it, without loss; `read` is its inverse. */
  write(state: S): unknown;
  read(written: unknown): S;
}

/** Values of `collect`; later ones are left out. */
const COLLECTED = 100;
/** Characters of the JSON of a value that is kept as it is; a longer one counts as null. */
const LONGEST = 8_192;

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

/** Neumaier's sum: what additions lose is kept in `rest`, so that the order of events shows in the last digit at most. */
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

/** By the time of the events; of two at the same time, the one that came first, or last. */
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
    // One more than is shown tells that some are left out.
    if (state.length <= COLLECTED) state.push(state.length === COLLECTED ? 0 : keep(value));
    return state;
  },
  merge: (a, b) => [...a, ...b].slice(0, COLLECTED + 1),
  result: (state) => state.slice(0, COLLECTED),
  isRough: (state) => state.length > COLLECTED,
  read: (written) => written as unknown[],
};

// biome-ignore lint/suspicious/noExplicitAny: each has a state of its own, which nobody else looks into.
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

/** JSON of a value of an expression: integers of CEL and maps are no JSON by themselves. */
export function textOf(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) => {
    if (typeof inner === 'bigint') return Number.isSafeInteger(Number(inner)) ? Number(inner) : String(inner);
    return inner instanceof Map ? Object.fromEntries(inner) : inner;
  });
}

/** The value as it is in state: plain JSON, so that it is the same before and after a restart. */
function keep(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  const text = textOf(value);
  return text.length > LONGEST ? null : JSON.parse(text);
}
