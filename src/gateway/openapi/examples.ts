import type { SourceConfig } from '../../config/source/types.ts';
import { parsePointer, resolvePointer } from '../../json/pointer.ts';
import { ErrorBudget, type PlainSchemas, type SchemaSet } from '../../schema/registry.ts';
import type { JsonObject } from '../route.ts';

/** An event that a source takes. */
export interface Example {
  source: string;
  type: string;
  value: JsonObject;
  /** Key of its schema in `PlainSchemas`; null when the source has no schema for it. */
  schema: string | null;
}

const REFERENCE = '#/components/schemas/';
const TIME = '2026-01-31T12:00:00Z';
/** Levels of a schema that a sample follows: a schema may refer to itself. */
const MAX_DEPTH = 12;

/** One example for each source. Sources without a possible example are left out. */
export function examplesOf(sources: SourceConfig[], set: SchemaSet, plain: PlainSchemas): Example[] {
  return sources.map((source) => exampleOf(source, set, plain)).filter((example) => example !== null);
}

/** Names of the schemas that the config gives to sources. A schema that the events name is not among them. */
export function schemaNames(sources: SourceConfig[], set: SchemaSet): string[] {
  const named = sources.flatMap(({ schema }) => {
    if (schema === null) return [];
    if (typeof schema === 'object') return Object.values(schema);
    return schema.startsWith('/') ? [] : [schema];
  });
  const found = named.map((name) => set.find(name)?.name).filter((name) => name !== undefined);
  return [...new Set(found)];
}

function exampleOf(source: SourceConfig, set: SchemaSet, plain: PlainSchemas): Example | null {
  const { schema } = source;
  const byField = source.type?.startsWith('/') === true;
  let type = source.type === null ? `postern.${source.name}` : byField ? 'order.placed' : source.type;
  let named: string | undefined;
  if (typeof schema === 'string') {
    if (schema.startsWith('/')) return null;
    named = schema;
  } else if (schema !== null) {
    if (byField) type = Object.keys(schema).find((key) => key !== '*') ?? type;
    named = schema[type] ?? schema['*'];
  }
  if (schema !== null && named === undefined) return null;
  const validator = named === undefined ? undefined : set.find(named);
  const key = validator && plain.keys.get(validator.name);
  if (named !== undefined && key === undefined) return null;
  const made = key === undefined ? {} : sampleOf({ $ref: REFERENCE + key }, plain, 0);
  if (typeof made !== 'object' || made === null || Array.isArray(made)) return null;
  const value = structuredClone(made) as JsonObject;
  const fill = (pointer: string | null, text: string) => {
    if (pointer !== null && resolvePointer(value, parsePointer(pointer)) === undefined)
      put(value, parsePointer(pointer), text);
  };
  if (Array.isArray(source.id)) for (const pointer of source.id) fill(pointer, '4711');
  if (byField) put(value, parsePointer(source.type!), type);
  if (key === undefined) {
    fill(source.time, TIME);
    fill(source.subject, 'order-4711');
    fill(source.key, 'customer-17');
    if (Object.keys(value).length === 0) value.hello = 'world';
  }
  if (validator !== undefined && validator.check(value, 0, new ErrorBudget()) !== null) return null;
  return { source: source.name, type, value, schema: key ?? null };
}

function put(value: JsonObject, tokens: string[], text: string): void {
  let at = value;
  for (const token of tokens.slice(0, -1)) {
    const next = Object.hasOwn(at, token) ? at[token] : undefined;
    if (typeof next !== 'object' || next === null) at[token] = {};
    at = at[token] as JsonObject;
  }
  at[tokens.at(-1)!] = text;
}

/** A small value for a plain schema: its own example if it has one. It may not match, as patterns are ignored. */
function sampleOf(schema: unknown, plain: PlainSchemas, depth: number): unknown {
  if (typeof schema !== 'object' || schema === null || depth > MAX_DEPTH) return null;
  const { $ref, examples, enum: values, allOf, anyOf, oneOf, ...rest } = schema as JsonObject;
  if (Array.isArray(examples) && examples.length > 0) return examples[0];
  if ('const' in rest) return rest.const;
  if (Array.isArray(values)) return values[0];
  const next = (one: unknown) => sampleOf(one, plain, depth + 1);
  if (typeof $ref === 'string') return next(plain.schemas.get($ref.slice(REFERENCE.length)));
  const one = (anyOf ?? oneOf) as unknown[] | undefined;
  const parts = [...((allOf as unknown[] | undefined) ?? []), ...(one?.slice(0, 1) ?? [])].map(next);
  const own = ownSample(rest, next);
  if (parts.length === 0) return own;
  const objects = [own, ...parts].filter((part) => typeof part === 'object' && part !== null);
  return objects.length === 0 ? parts[0] : Object.assign({}, ...objects);
}

const BY_FORMAT: Record<string, string> = {
  'date-time': TIME,
  date: TIME.slice(0, 10),
  time: TIME.slice(11),
  email: 'ada@example.com',
  uri: 'https://example.com/',
  uuid: '0b0e2ac5-4c1e-4b44-9d55-6c7a4d4b7f10',
  ipv4: '192.0.2.1',
  hostname: 'example.com',
};

function ownSample(schema: JsonObject, next: (schema: unknown) => unknown): unknown {
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  const least = typeof schema.minimum === 'number' ? schema.minimum : 1;
  switch (type ?? ('properties' in schema ? 'object' : undefined)) {
    case 'object': {
      const properties = (schema.properties ?? {}) as JsonObject;
      const required = (schema.required ?? []) as string[];
      return Object.fromEntries(
        required.map((name) => [name, next(Object.hasOwn(properties, name) ? properties[name] : undefined)]),
      );
    }
    case 'array': {
      const length = Math.min(Number(schema.minItems ?? 0), 3);
      return Array.from({ length }, () => next(schema.items));
    }
    case 'string':
      return BY_FORMAT[String(schema.format)] ?? 'a1b2c3d4'.padEnd(Number(schema.minLength ?? 0), '0');
    case 'integer':
      return Math.ceil(least);
    case 'number':
      return least;
    case 'boolean':
      return true;
    default:
      return null;
  }
}
