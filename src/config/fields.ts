import type { Static, TProperties, TSchema } from 'typebox';
import { DURATION_FORM, DURATION_PATTERN, SIZE_FORM, SIZE_PATTERN } from '../core/units.ts';
import { Type } from './typebox.ts';

/** The kinds of fields that the config's shape is made of. A `title` is what messages say of a value that does not fit. */

export const object = <P extends TProperties>(properties: P, options: object = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options });
/** An object that may be left out because everything in it has a default. */
export const section = <P extends TProperties>(properties: P, description: string) =>
  object(properties, { default: {}, description });
export const optional = Type.Optional;
/** By name; unlike a typebox Record it also covers names with line breaks. */
export const map = <S extends TSchema>(value: S, description: string) =>
  Type.Unsafe<Record<string, Static<S>>>({
    type: 'object',
    additionalProperties: value,
    default: {},
    description,
  });

/** `standard` null: no default. */
export const duration = (standard: string | null, description: string) =>
  Type.String({ title: DURATION_FORM, pattern: DURATION_PATTERN, ...byDefault(standard), description });
export const size = (standard: string, description: string) =>
  Type.String({ title: SIZE_FORM, pattern: SIZE_PATTERN, default: standard, description });
export const optionalSize = (description: string) =>
  optional(Type.String({ title: SIZE_FORM, pattern: SIZE_PATTERN, description }));
/** `standard` null: no default. */
export const count = (standard: number | null, maximum: number, description: string) =>
  Type.Integer({ minimum: 1, maximum, ...byDefault(standard), description });
export const choice = <V extends string[]>(
  values: readonly [...V],
  standard: V[number],
  description: string,
) => Type.Enum(values, { type: 'string', default: standard, description });
export const listen = (standard: string, description: string) =>
  Type.String({ default: standard, description });
export const pointer = (description: string) =>
  Type.String({ title: 'a JSON Pointer, such as /deviceId', pattern: '^/', description });
/** Never shown in messages; may be `file:/path`. */
export const secret = (description: string) => Type.String({ writeOnly: true, description });
export const names = (description: string, standard?: string[]) =>
  Type.Array(Type.String(), standard === undefined ? { description } : { default: standard, description });

function byDefault(standard: string | number | null): object {
  return standard === null ? {} : { default: standard };
}
