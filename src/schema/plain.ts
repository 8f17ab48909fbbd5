import type { Document, SchemaLocation } from './document.ts';
import { Emitter } from './emit.ts';
import type { Linker } from './link.ts';
import type { PlainSchemas } from './registry.ts';

/** A schema's name: its path in the folder without `.json`. */
export function nameOf(document: Document): string {
  return document.file.replace(/\.json$/, '');
}

/** The schemas of these names with all that they refer to; a name that `roots` does not have is left out. */
export function plainSchemas(
  linker: Linker,
  roots: ReadonlyMap<string, SchemaLocation>,
  names: readonly string[],
): PlainSchemas {
  const emitter = new Emitter(linker, false, true);
  const asked = new Map<string, string>();
  for (const name of names) {
    const root = roots.get(name);
    if (root !== undefined) asked.set(name, emitter.target(root));
  }
  const labels = new Map<string, string>();
  const taken = new Set<string>();
  const label = (key: string, wanted: string) => {
    // With a prefix, so that it is no name that the OpenAPI document has already.
    const plain = `event.${wanted.replace(/[^A-Za-z0-9._-]/g, '.')}`;
    let free = plain;
    for (let n = 2; taken.has(free); n++) free = `${plain}-${n}`;
    taken.add(free);
    labels.set(key, free);
  };
  // First the schemas that were asked for, so that they keep their names.
  for (const [name, key] of asked) if (!labels.has(key)) label(key, name);
  for (const key of labels.keys()) {
    for (const needed of emitter.schemas.get(key)!.refs) {
      if (labels.has(needed)) continue;
      const { document, pointer } = emitter.schemas.get(needed)!.location;
      const last = pointer.slice(pointer.lastIndexOf('/') + 1);
      label(needed, last === '' ? nameOf(document) : `${nameOf(document)}.${last}`);
    }
  }
  const schemas: PlainSchemas['schemas'] = new Map();
  for (const [key, name] of labels) {
    const { $id, ...schema } = emitter.schemas.get(key)!.schema;
    schemas.set(name, relabel(schema, labels) as Record<string, unknown>);
  }
  return { keys: new Map([...asked].map(([name, key]) => [name, labels.get(key)!])), schemas };
}

/** Keywords whose values are payloads or names, not schemas. */
const VALUES = new Set(['enum', 'const', 'default', 'examples', 'required', 'dependentRequired']);
const MAPS = new Set(['properties', 'patternProperties', 'dependentSchemas']);

function relabel(node: unknown, labels: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(node)) return node.map((one) => relabel(one, labels));
  if (typeof node !== 'object' || node === null) return node;
  const entries = Object.entries(node).map(([keyword, value]) => {
    if (keyword === '$ref') return [keyword, `#/components/schemas/${labels.get(value as string)}`];
    if (VALUES.has(keyword)) return [keyword, value];
    if (!MAPS.has(keyword)) return [keyword, relabel(value, labels)];
    const map = Object.entries(value as object).map(([name, one]) => [name, relabel(one, labels)]);
    return [keyword, Object.fromEntries(map)];
  });
  return Object.fromEntries(entries);
}
