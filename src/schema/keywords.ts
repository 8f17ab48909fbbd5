import type { KEYWORD_CHECKS } from './keyword-checks.ts';

/** A keyword of ours: the values that it looks at, what its own value must be, and what is said of a fault. */
export interface OwnKeyword {
  keyword: keyof typeof KEYWORD_CHECKS;
  /** Default: values of all types. */
  type?: 'array' | 'number' | 'string';
  /** Default: anything. */
  schemaType?: 'array' | 'boolean' | 'number';
  message(value: unknown): string;
}

export const OWN_KEYWORDS: readonly OwnKeyword[] = [
  { keyword: 'const', message: () => 'must be equal to the constant of the schema' },
  { keyword: 'enum', schemaType: 'array', message: () => 'must be one of the allowed values' },
  {
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    message: () => 'must not have items that are equal',
  },
  {
    keyword: 'multipleOf',
    type: 'number',
    schemaType: 'number',
    message: (divisor) => `must be a multiple of ${divisor}`,
  },
  {
    keyword: 'maxLength',
    type: 'string',
    schemaType: 'number',
    message: (limit) => `must not have more than ${limit} characters`,
  },
  {
    keyword: 'minLength',
    type: 'string',
    schemaType: 'number',
    message: (limit) => `must not have fewer than ${limit} characters`,
  },
];
