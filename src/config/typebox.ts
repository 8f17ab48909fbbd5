import type { Type as Typebox } from 'typebox';

/**
 * What of typebox the config's shape is made with: its types, and the same JSON Schemas. Its own program is 370
 * modules, which took a tenth of a start.
 */
export const Type = {
  String: (options?: object) => ({ type: 'string', ...options }),
  Integer: (options?: object) => ({ type: 'integer', ...options }),
  Boolean: (options?: object) => ({ type: 'boolean', ...options }),
  Enum: (values: readonly string[], options?: object) => ({ enum: values, ...options }),
  Array: (items: object, options?: object) => ({ type: 'array', items, ...options }),
  Object: (properties: object, options?: object) => {
    const required = Object.entries(properties).flatMap(([name, one]) => (OPTIONAL in one ? [] : [name]));
    return { type: 'object', ...(required.length > 0 ? { required } : {}), properties, ...options };
  },
  Optional: (schema: object) => ({ ...schema, [OPTIONAL]: true }),
  Unsafe: (schema: object) => schema,
} as unknown as Pick<
  typeof Typebox,
  'String' | 'Integer' | 'Boolean' | 'Enum' | 'Array' | 'Object' | 'Optional' | 'Unsafe'
>;

/** No part of the JSON. */
const OPTIONAL = Symbol('optional');
