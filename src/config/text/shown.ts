import { configShape } from '../shape.ts';

/** What of a config may be repeated in messages. A secret may stand anywhere: in the place of a list, under a wrong key, as a key. */

type Path = readonly (string | number)[];

/** The part of JSON Schema that the config's shape is made of. */
export interface ShapeNode {
  type?: string | string[];
  title?: string;
  enum?: string[];
  writeOnly?: boolean;
  properties?: Record<string, ShapeNode>;
  additionalProperties?: boolean | ShapeNode;
  items?: ShapeNode;
  $ref?: string;
}

/** What stands in a message in the place of a key that may be a secret. */
const HIDDEN = '…';
/** Names of headers that are no secret themselves. */
const HEADER = /^(?:(?:proxy-)?authorization|cookie|accept|user-agent|x-[a-z]{1,16}(?:-[a-z]{1,16}){0,3})$/i;
/** Names of sources, subscriptions and workflows as they must be. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** What people write for a number, a duration or a size. */
const AMOUNT = /^[-+]?\d[\d.,_]{0,11} ?[A-Za-z]{0,12}$/;

/** The path without keys that the config's shape does not know, for any of them may be a secret. */
export function shownPath(path: Path): Path {
  const shown: (string | number)[] = [];
  let node = configShape as ShapeNode;
  for (const token of path) {
    const next = childOf(node, token);
    if (next === null) return [...shown, HIDDEN];
    const isFree = resolved(node).properties === undefined && node.items === undefined;
    shown.push(isFree && !isNameShown(node, String(token)) ? HIDDEN : token);
    node = next;
  }
  return shown;
}

/** Whether an unknown key can be shown: it has a value, looks like a key, and stands beside no secret. */
export function isKeyShown(holder: ShapeNode, name: string, value: unknown): boolean {
  return value !== null && /^[a-z]{1,16}(?:[A-Z][a-z]{1,12})?$/.test(name) && !hasSecretMember(holder);
}

/**
 * What a message says of a value that does not fit `node`: the value where it can only be a setting, else its kind.
 * `near`: whether a text is nearly one of the words that fit.
 */
export function describeValue(
  path: Path,
  node: ShapeNode,
  value: unknown,
  near: (text: string) => boolean,
): string {
  const types = [node.type].flat();
  const isAmount = types.includes('integer') || /^a (?:duration|size):/.test(node.title ?? '');
  const parent = nodeAt(path.slice(0, -1));
  const safe = parent !== null && !hasSecret(node) && !isUnderSecret(path);
  const beside = parent === null || hasSecretMember(parent);
  if (safe && typeof value === 'boolean') return String(value);
  if (safe && isAmount && typeof value === 'number') return String(value);
  if (safe && typeof value === 'string') {
    if (isAmount && !beside && AMOUNT.test(value)) return JSON.stringify(value);
    const isWord = !beside && /^[a-z-]{1,12}$/.test(value);
    if (node.enum && value.length <= 24 && (isWord || near(value))) return JSON.stringify(value);
  }
  return kindOf(value);
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return 'text';
  return typeof value === 'boolean' ? 'true or false' : 'a number';
}

/** The shape of what stands at a path; null where the shape knows nothing. */
function nodeAt(path: Path): ShapeNode | null {
  let node: ShapeNode | null = configShape as ShapeNode;
  for (const token of path) node = node === null ? null : childOf(node, token);
  return node;
}

function childOf(node: ShapeNode, token: string | number): ShapeNode | null {
  const { properties, additionalProperties: more, items } = resolved(node);
  if (properties !== undefined && Object.hasOwn(properties, token)) return properties[token]!;
  if (typeof more === 'object') return more;
  return items !== undefined && /^\d+$/.test(String(token)) ? items : null;
}

function resolved(node: ShapeNode): ShapeNode {
  if (node.$ref === undefined) return node;
  const { $defs } = configShape as unknown as { $defs: Record<string, ShapeNode> };
  return $defs[node.$ref.replace('#/$defs/', '')]!;
}

function isUnderSecret(path: Path): boolean {
  return path.some((_, index) => nodeAt(path.slice(0, index))?.writeOnly);
}

/** Whether a name in a map, such as that of a source or a header, can be shown. */
function isNameShown({ additionalProperties: more }: ShapeNode, name: string): boolean {
  if (typeof more !== 'object' || !hasSecret(more)) return true;
  return more.writeOnly ? HEADER.test(name) : NAME.test(name);
}

/** Whether one of the settings of an object is a secret: people exchange neighbours. */
function hasSecretMember({ properties = {} }: ShapeNode): boolean {
  return Object.values(properties).some(({ writeOnly }) => writeOnly);
}

/** Whether a node is a secret or has one somewhere below. */
function hasSecret(node: ShapeNode): boolean {
  if (node.writeOnly) return true;
  // Filters hold no secrets, and themselves.
  if (node.$ref !== undefined) return false;
  const { properties = {}, additionalProperties: more, items } = node;
  const below = [...Object.values(properties), ...(items ? [items] : [])];
  if (typeof more === 'object') below.push(more);
  return below.some(hasSecret);
}
