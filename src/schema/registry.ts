import type { EventError } from '../core/event.ts';
import { type SchemaFault, toEventErrors } from './faults.ts';

/** Bytes. For payloads up to this size every fault is listed (up to 20), for larger ones only the first. */
const LIST_BYTES = 16 * 1024;

export interface Validator {
  /** The file's path in the schema folder without `.json`. */
  readonly name: string;
  /** The schema's `$id` as written. */
  readonly id: string | null;
  /** Null when the value matches, else 1 to 20 errors. `bytes` is the payload's length as sent. */
  check(value: unknown, bytes: number, budget: ErrorBudget): EventError[] | null;
}

export interface SchemaSet {
  find(nameOrId: string): Validator | undefined;
  names(): string[];
  /** The schemas of these names as JSON Schema, for the OpenAPI document. */
  plain(names: readonly string[]): PlainSchemas;
}

/**
 * Schemas in draft 2020-12, whichever draft they were written in, without identifiers: a `$ref` is
 * `#/components/schemas/` and a key of `schemas`.
 */
export interface PlainSchemas {
  /** By the name that was asked for. */
  keys: Map<string, string>;
  schemas: Map<string, Record<string, unknown>>;
}

/**
 * Limits how much of one request may be checked a second time to list every fault: 32 KiB of payloads in all, and no
 * more after 20 ms. Make one per request.
 */
export class ErrorBudget {
  #bytes = 2 * LIST_BYTES;
  #ms = 20;

  take(bytes: number): boolean {
    if (bytes > LIST_BYTES || bytes > this.#bytes || this.#ms <= 0) return false;
    this.#bytes -= bytes;
    return true;
  }

  spend(ms: number): void {
    this.#ms -= ms;
  }
}

/** A compiled schema: true when valid, else its faults are in `errors`. */
export interface CheckFunction {
  (value: unknown): unknown;
  errors?: SchemaFault[] | null;
}

/** How many more times a schema that refers to itself may be entered during the check that is running. */
export interface Fuel {
  left: number;
}

/** Thrown out of a check that used up its fuel. */
export class FuelSpent extends Error {}

export interface ValidatorParts {
  name: string;
  id: string | null;
  /** Stops at the first fault. */
  first: CheckFunction;
  /** Makes the function that finds all faults; called once, when needed. */
  all: () => CheckFunction;
  fuel: Fuel;
}

const TOO_COMPLEX: EventError[] = [
  { code: 'schema_mismatch', pointer: '#', detail: 'is too complex to be checked against the schema' },
];

/** Makes the validator of one schema version. */
export function createValidator(parts: ValidatorParts): Validator {
  const { name, id, first, fuel } = parts;
  let all: CheckFunction | undefined;

  function run(check: CheckFunction, value: unknown, bytes: number): SchemaFault[] | 'valid' | 'spent' {
    // Enough for thirty alternatives per shortest array item. Without a limit, a schema that branches into itself
    // needs time exponential in the payload's depth.
    fuel.left = 50_000 + 16 * bytes;
    try {
      if (check(value)) return 'valid';
      return check.errors ?? [];
    } catch (error) {
      // A RangeError is a payload nested deeper than the stack.
      if (error instanceof FuelSpent || error instanceof RangeError) return 'spent';
      throw error;
    } finally {
      check.errors = null;
    }
  }

  function listAll(value: unknown, bytes: number, budget: ErrorBudget): SchemaFault[] | null {
    if (!budget.take(bytes)) return null;
    all ??= parts.all();
    const start = performance.now();
    const faults = run(all, value, bytes);
    budget.spend(performance.now() - start);
    return Array.isArray(faults) && faults.length > 0 ? faults : null;
  }

  return {
    name,
    id,
    check(value, bytes, budget) {
      const faults = run(first, value, bytes);
      if (faults === 'valid') return null;
      if (faults === 'spent') return TOO_COMPLEX;
      // The summary of a failed `anyOf` comes last. When only one fault is reported it must be that.
      return toEventErrors(listAll(value, bytes, budget) ?? faults.slice(-1));
    },
  };
}

/** Finds validators by name, then by `$id`. */
export function createSchemaSet(validators: readonly Validator[], plain: SchemaSet['plain']): SchemaSet {
  const byName = new Map(validators.map((validator) => [validator.name, validator]));
  const byId = new Map<string, Validator>();
  for (const validator of validators) {
    if (validator.id !== null) byId.set(withoutEmptyFragment(validator.id), validator);
  }
  return {
    find: (nameOrId) => byName.get(nameOrId) ?? byId.get(withoutEmptyFragment(nameOrId)),
    names: () => [...byName.keys()],
    plain,
  };
}

function withoutEmptyFragment(uri: string): string {
  return uri.endsWith('#') ? uri.slice(0, -1) : uri;
}
