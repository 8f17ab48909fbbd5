import { type DecodedEvent, type EventError, eventError, NO_ERRORS } from '../core/event.ts';
import { fragment, parsePointer, resolvePointer } from '../json/pointer.ts';
import type { ErrorBudget, SchemaSet } from '../schema/registry.ts';
import { type Field, isError } from './formats/event.ts';
import type { Source } from './formats/source.ts';

/** The errors of an event's data by the schema that its source, type or dataschema names; none when there is no schema. */
export function schemaErrors(
  decoded: DecodedEvent,
  source: Source,
  schemas: SchemaSet,
  budget: ErrorBudget,
): readonly EventError[] {
  const name = schemaName(decoded, source);
  if (name === null) return NO_ERRORS;
  if (isError(name)) return [name];
  const validator = schemas.find(name);
  if (validator === undefined) {
    // A dataschema is the sender's word: it binds only where the schema is here.
    if (source.config.schema === null) return NO_ERRORS;
    return [eventError('schema_unknown', `there is no schema ${JSON.stringify(name.slice(0, 100))}`)];
  }
  const { event, json } = decoded;
  if (json === undefined)
    return [eventError('schema_mismatch', `data must be JSON to match schema ${validator.name}`)];
  return validator.check(json, event.data?.length ?? 0, budget) ?? NO_ERRORS;
}

/** The name of the schema; null when the event has none. */
function schemaName({ event: { headers }, json, name }: DecodedEvent, source: Source): Field {
  const { schema } = source.config;
  if (schema === null) return headers.ce_dataschema ?? null;
  if (typeof schema === 'object') {
    const type = headers.ce_type ?? '';
    if (name !== null && Object.hasOwn(schema, name)) return schema[name]!;
    if (Object.hasOwn(schema, type)) return schema[type]!;
    if (Object.hasOwn(schema, '*')) return schema['*']!;
    const detail = `type ${JSON.stringify(type.slice(0, 100))} is not one that this source takes`;
    return eventError('schema_unknown', detail);
  }
  if (!schema.startsWith('/')) return schema;
  const value = resolvePointer(json, parsePointer(schema));
  if (typeof value === 'string') return value;
  return eventError('schema_unknown', 'must name the schema', fragment(schema));
}
