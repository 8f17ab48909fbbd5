import type { DecodedEvent } from '../core/event.ts';
import { fragment, parsePointer, resolvePointer } from '../json/pointer.ts';
import type { ErrorBudget, SchemaSet } from '../schema/registry.ts';
import { refuse, type Source } from './formats/source.ts';

/** Checks an event's data against the schema that its source, type or dataschema names; adds errors to it. */
export function validateEvent(
  event: DecodedEvent,
  source: Source,
  schemas: SchemaSet,
  budget: ErrorBudget,
): void {
  const name = schemaName(event, source);
  if (name === null || name === undefined) return;
  const validator = schemas.find(name);
  if (validator === undefined) {
    // A dataschema is the sender's word: it binds only where the schema is here.
    if (source.config.schema !== null)
      refuse(event, 'schema_unknown', `there is no schema ${JSON.stringify(name.slice(0, 100))}`);
    return;
  }
  if (event.json === undefined) {
    refuse(event, 'schema_mismatch', `data must be JSON to match schema ${validator.name}`);
    return;
  }
  const errors = validator.check(event.json, event.data?.length ?? 0, budget);
  if (errors !== null) event.errors.push(...errors);
}

function schemaName(event: DecodedEvent, source: Source): string | null | undefined {
  const { schema } = source.config;
  if (schema === null) return event.headers.ce_dataschema;
  if (typeof schema === 'object') {
    const type = event.headers.ce_type ?? '';
    const { name } = event;
    if (name !== undefined && Object.hasOwn(schema, name)) return schema[name];
    if (Object.hasOwn(schema, type)) return schema[type];
    if (Object.hasOwn(schema, '*')) return schema['*'];
    refuse(
      event,
      'schema_unknown',
      `type ${JSON.stringify(type.slice(0, 100))} is not one that this source takes`,
    );
    return null;
  }
  if (!schema.startsWith('/')) return schema;
  const value = resolvePointer(event.json, parsePointer(schema));
  if (typeof value === 'string') return value;
  refuse(event, 'schema_unknown', 'must name the schema', fragment(schema));
  return null;
}
