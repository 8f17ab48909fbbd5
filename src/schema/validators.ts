import { markCycles, tracks } from './cycles.ts';
import { type Document, isObject, report } from './document.ts';
import type { Emitted } from './emit.ts';
import { Engine } from './engine.ts';
import type { Patterns } from './pattern/patterns.ts';
import { nameOf } from './plain.ts';
import { createValidator, type Fuel, type Validator } from './registry.ts';

/** Receives the parts of validators whose code is to be written out. */
export interface Ahead {
  patterns: Patterns;
  add(made: MadeValidator): void;
}

export interface MadeValidator {
  name: string;
  id: string | null;
  key: string;
  first: Engine;
  all: Engine;
}

/**
 * Makes the validators of documents whose rewritten schemas have these keys. A document whose schema ajv cannot compile
 * gets a problem instead.
 */
export function makeValidators(
  schemas: ReadonlyMap<string, Emitted>,
  keys: ReadonlyMap<Document, string>,
  patterns: Patterns,
  ahead: Ahead | null,
): Validator[] {
  markCycles(schemas);
  const fuel: Fuel = { left: 0 };
  const engines = new Map<string, Engine>();
  const engine = (allErrors: boolean, isTracked: boolean): Engine => {
    const name = `${allErrors} ${isTracked}`;
    const source = ahead !== null;
    const options = { allErrors, tracks: isTracked, formats: true, patterns, fuel, source, optimize: true };
    const made = engines.get(name) ?? new Engine(schemas, options);
    engines.set(name, made);
    return made;
  };
  const validators: Validator[] = [];
  for (const [document, key] of keys) {
    const isTracked = tracks(schemas, key);
    try {
      const first = engine(false, isTracked).compile(key);
      const all = () => engine(true, isTracked).compile(key);
      const [name, id] = [nameOf(document), idOf(document)];
      validators.push(createValidator({ name, id, first, all, fuel }));
      ahead?.add({ name, id, key, first: engine(false, isTracked), all: engine(true, isTracked) });
    } catch (error) {
      report(document, 'error', '', error instanceof Error ? error.message : String(error));
    }
  }
  return validators;
}

function idOf(document: Document): string | null {
  const { node, resource } = document.root;
  const id = isObject(node) ? node[resource.draft === 4 ? 'id' : '$id'] : undefined;
  return typeof id === 'string' ? id : null;
}
