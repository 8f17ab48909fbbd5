import { editDistance } from '../core/edit-distance.ts';

/** The drafts by year or number, oldest first. */
export type Draft = 4 | 6 | 7 | 2019 | 2020;

/** The draft of a schema that has no `$schema`. */
export const DEFAULT_DRAFT: Draft = 2020;

const DIALECTS = new Map<string, Draft>([
  ['http://json-schema.org/draft-04/schema', 4],
  ['http://json-schema.org/draft-06/schema', 6],
  ['http://json-schema.org/draft-07/schema', 7],
  ['https://json-schema.org/draft/2019-09/schema', 2019],
  ['https://json-schema.org/draft/2020-12/schema', 2020],
]);

/** The draft that a `$schema` names; undefined when it is none of the five. */
export function draftOf(uri: string): Draft | undefined {
  // Many schemas have http for https or the other way round.
  const plain = uri.replace(/#$/, '').replace(/^https?:/, '');
  for (const [known, draft] of DIALECTS) if (known.replace(/^https?:/, '') === plain) return draft;
  return undefined;
}

/** The address of a draft's meta-schema. */
export function dialectOf(draft: Draft): string {
  for (const [uri, known] of DIALECTS) if (known === draft) return uri;
  throw new Error(`no draft ${draft}`);
}

/** The draft's name for people. */
export function draftName(draft: Draft): string {
  return draft < 10 ? `draft-0${draft}` : draft === 2019 ? 'draft 2019-09' : 'draft 2020-12';
}

/**
 * Where the subschemas of a keyword are. `list`: array of schemas; `map`: object of schemas; `items`: one
 * or an array; `dependencies`: object of schemas or name lists; `value`: none; `note`: annotation, which
 * never decides; `core`: identity and references.
 */
export type Shape = 'schema' | 'list' | 'map' | 'items' | 'dependencies' | 'value' | 'note' | 'core';

interface Keyword {
  name: string;
  first: Draft;
  last: Draft;
  shape: Shape;
}

const ROWS: [Draft, Draft, Shape, string][] = [
  [4, 2020, 'core', '$schema $ref'],
  [4, 4, 'core', 'id'],
  [6, 2020, 'core', '$id'],
  [7, 2020, 'core', '$comment'],
  [2019, 2020, 'core', '$anchor $vocabulary'],
  [2019, 2019, 'core', '$recursiveRef $recursiveAnchor'],
  [2020, 2020, 'core', '$dynamicRef $dynamicAnchor'],
  [4, 2020, 'map', 'definitions'],
  [2019, 2020, 'map', '$defs'],
  [
    4,
    2020,
    'value',
    'type enum multipleOf maximum minimum exclusiveMaximum exclusiveMinimum maxLength minLength',
  ],
  [4, 2020, 'value', 'pattern maxItems minItems uniqueItems maxProperties minProperties required format'],
  [6, 2020, 'value', 'const'],
  [2019, 2020, 'value', 'minContains maxContains dependentRequired'],
  [4, 2020, 'map', 'properties patternProperties'],
  [4, 2020, 'schema', 'additionalProperties not'],
  [4, 2020, 'list', 'allOf anyOf oneOf'],
  [4, 2019, 'items', 'items'],
  [2020, 2020, 'schema', 'items'],
  [2020, 2020, 'list', 'prefixItems'],
  [4, 2019, 'schema', 'additionalItems'],
  [4, 7, 'dependencies', 'dependencies'],
  [6, 2020, 'schema', 'contains propertyNames'],
  [7, 2020, 'schema', 'if then else'],
  [2019, 2020, 'map', 'dependentSchemas'],
  [2019, 2020, 'schema', 'unevaluatedItems unevaluatedProperties contentSchema'],
  [4, 2020, 'note', 'title description default'],
  [6, 2020, 'note', 'examples'],
  [7, 2020, 'note', 'readOnly writeOnly contentEncoding contentMediaType'],
  [2019, 2020, 'note', 'deprecated'],
];

const KEYWORDS: ReadonlyMap<string, Keyword[]> = Map.groupBy(
  ROWS.flatMap(([first, last, shape, names]) =>
    names.split(' ').map((name) => ({ name, first, last, shape })),
  ),
  ({ name }) => name,
);

/** The shape of a keyword in a draft; undefined when the draft does not have it. */
export function shapeOf(keyword: string, draft: Draft): Shape | undefined {
  return KEYWORDS.get(keyword)?.find((row) => row.first <= draft && draft <= row.last)?.shape;
}

/** True when any draft has the keyword. */
export function isOfOtherDraft(keyword: string): boolean {
  return KEYWORDS.has(keyword);
}

// Well-known annotations of generators and editors that are a letter away from a keyword.
const NO_TYPOS = new Set(['example', 'enumNames', 'typeof', 'tsType', 'notes', 'note', 'nullable', 'ids']);

/** The keyword that was probably meant; undefined for a name that looks like an annotation. */
export function likelyTypo(keyword: string, draft: Draft): string | undefined {
  if (NO_TYPOS.has(keyword) || /^x-/i.test(keyword) || keyword.length < 4) return undefined;
  const reach = keyword.length < 7 ? 1 : 2;
  let best: string | undefined;
  let least = reach + 1;
  for (const known of KEYWORDS.keys()) {
    if (shapeOf(known, draft) === undefined || Math.abs(known.length - keyword.length) > reach) continue;
    const distance = editDistance(keyword.toLowerCase(), known.toLowerCase());
    if (distance < least) [best, least] = [known, distance];
  }
  return best;
}
