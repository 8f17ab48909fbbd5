import type { Type as Typebox } from 'typebox';

/**
 * The part of typebox that the config's shape needs: typebox's types, and the same JSON Schemas. Loading typebox itself
 * (370 modules) took a tenth of the start time.
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

/** A symbol, so that it is not part of the JSON. */
const OPTIONAL = Symbol('optional');
