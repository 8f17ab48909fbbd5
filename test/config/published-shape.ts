import { configShape } from '../../src/config/shape.ts';

/** The schema as editors use it: what has a default is not required, and `${VARIABLE}` may stand for any scalar. */
export function publishedShape(): object {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Postern config',
    ...(published(JSON.parse(JSON.stringify(configShape))) as object),
  };
}

const VARIABLE = '\\$\\{';

function published(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(published);
  if (typeof node !== 'object' || node === null) return node;
  const copy: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(node)) copy[key] = published(value);
  if (Array.isArray(copy.required)) {
    const properties = copy.properties as Record<string, object>;
    copy.required = copy.required.filter((name) => !('default' in (properties[name] ?? {})));
    if ((copy.required as string[]).length === 0) delete copy.required;
  }
  return withVariable(copy);
}

function withVariable(schema: Record<string, unknown>): Record<string, unknown> {
  const { type, pattern, enum: values, ...rest } = schema;
  const types = [type].flat();
  if (values) return { ...rest, anyOf: [{ enum: values }, { type, pattern: VARIABLE }] };
  if (typeof pattern === 'string') return { ...schema, pattern: `${pattern}|${VARIABLE}` };
  if (!types.includes('integer') && !types.includes('boolean')) return schema;
  return { ...schema, type: [...types, 'string'], pattern: VARIABLE };
}
