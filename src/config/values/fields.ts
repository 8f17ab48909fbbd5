import type { Static, TProperties, TSchema } from 'typebox';
import { DURATION_FORM, DURATION_PATTERN, SIZE_FORM, SIZE_PATTERN } from '../../core/units.ts';
import { Type } from './typebox.ts';

/** The kinds of settings. An error message describes the value that a setting must have by its `title`. */

export const object = <P extends TProperties>(properties: P, options: object = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options });
/** An object that may be left out, because each setting in it has a default. */
export const section = <P extends TProperties>(properties: P, description: string) =>
  object(properties, { default: {}, description });
export const optional = Type.Optional;
/** Values by name. Unlike a typebox Record it also covers names with line breaks. */
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
/** Any text but an empty one. */
export const text = (description: string) => Type.String({ minLength: 1, description });
export const consumerGroup = (description: string) =>
  Type.String({ minLength: 1, maxLength: 249, description });
/** Folder of an embedded store. */
export const folder = Type.String({ default: '.postern', minLength: 1, description: 'Folder.' });
export const pointer = (description: string) =>
  Type.String({ title: 'a JSON Pointer, such as /deviceId', pattern: '^/', description });
/** No message shows its value. It may be `file:/path`. */
export const secret = (description: string) =>
  Type.String({ writeOnly: true, description: `${description} Text, a variable, or file:/path.` });
export const names = (description: string, standard?: string[]) =>
  Type.Array(Type.String(), standard === undefined ? { description } : { default: standard, description });

function byDefault(standard: string | number | null): object {
  return standard === null ? {} : { default: standard };
}
