import type { Path } from './path.ts';

/**
 * Decides which parts of a config a message may repeat. A secret may stand in any wrong place: where a list belongs,
 * under a misspelt key, or as a key itself.
 */

/** The JSON Schema keywords that the shape of a config uses. */
export interface ShapeNode {
  type?: string | string[];
  title?: string;
  enum?: string[];
  writeOnly?: boolean;
  properties?: Record<string, ShapeNode>;
  additionalProperties?: boolean | ShapeNode;
  items?: ShapeNode;
  /** Into `$defs` of the root. */
  $ref?: string;
  $defs?: Record<string, ShapeNode>;
}

/** Replaces a key that may be a secret. */
const HIDDEN = '…';
/** Header names that are surely not secrets. */
const HEADER = /^(?:(?:proxy-)?authorization|cookie|accept|user-agent|x-[a-z]{1,16}(?:-[a-z]{1,16}){0,3})$/i;
/** Valid names of sources, subscriptions, streams and workflows. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** Looks like a number, a duration or a size. */
const AMOUNT = /^[-+]?\d[\d.,_]{0,11} ?[A-Za-z]{0,12}$/;

/** The path up to the first key that the shape does not know, as that may be a secret. */
export function shownPath(shape: ShapeNode, path: Path): Path {
  const shown: (string | number)[] = [];
  let node = shape;
  for (const token of path) {
    const next = childOf(shape, node, token);
    if (next === null) return [...shown, HIDDEN];
    const isFree = resolved(shape, node).properties === undefined && node.items === undefined;
    shown.push(isFree && !isNameShown(node, String(token)) ? HIDDEN : token);
    node = next;
  }
  return shown;
}

/** Whether an unknown key can be shown: it has a value, looks like a key, and no key beside it holds a secret. */
export function isKeyShown(holder: ShapeNode, name: string, value: unknown): boolean {
  return value !== null && /^[a-z]{1,16}(?:[A-Z][a-z]{1,12})?$/.test(name) && !hasSecretMember(holder);
}

/**
 * Describes a value that does not fit `node`: the value itself where it cannot be a secret, else its kind.
 * `near`: whether a text resembles one of the words that fit.
 */
export function describeValue(
  shape: ShapeNode,
  path: Path,
  node: ShapeNode,
  value: unknown,
  near: (text: string) => boolean,
): string {
  const types = [node.type].flat();
  const isAmount = types.includes('integer') || /^a (?:duration|size):/.test(node.title ?? '');
  const parent = nodeAt(shape, path.slice(0, -1));
  const safe = parent !== null && !hasSecret(node) && !isUnderSecret(shape, path);
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

/** The shape of the value at a path; null for a path that the shape does not know. */
function nodeAt(shape: ShapeNode, path: Path): ShapeNode | null {
  let node: ShapeNode | null = shape;
  for (const token of path) node = node === null ? null : childOf(shape, node, token);
  return node;
}

function childOf(shape: ShapeNode, node: ShapeNode, token: string | number): ShapeNode | null {
  const { properties, additionalProperties: more, items } = resolved(shape, node);
  if (properties !== undefined && Object.hasOwn(properties, token)) return properties[token]!;
  if (typeof more === 'object') return more;
  return items !== undefined && /^\d+$/.test(String(token)) ? items : null;
}

function resolved(shape: ShapeNode, node: ShapeNode): ShapeNode {
  return node.$ref === undefined ? node : shape.$defs![node.$ref.replace('#/$defs/', '')]!;
}

function isUnderSecret(shape: ShapeNode, path: Path): boolean {
  return path.some((_, index) => nodeAt(shape, path.slice(0, index))?.writeOnly);
}

/** Whether a name in a map, such as that of a source or a header, can be shown. */
function isNameShown({ additionalProperties: more }: ShapeNode, name: string): boolean {
  if (typeof more !== 'object' || !hasSecret(more)) return true;
  return more.writeOnly ? HEADER.test(name) : NAME.test(name);
}

/** Whether an object has a secret among its settings: people put a value under the wrong key of two neighbours. */
function hasSecretMember({ properties = {} }: ShapeNode): boolean {
  return Object.values(properties).some(({ writeOnly }) => writeOnly);
}

/** Whether a node is a secret or has one somewhere inside. */
function hasSecret(node: ShapeNode): boolean {
  if (node.writeOnly) return true;
  // Only filters refer to themselves, and they hold no secrets.
  if (node.$ref !== undefined) return false;
  const { properties = {}, additionalProperties: more, items } = node;
  const below = [...Object.values(properties), ...(items ? [items] : [])];
  if (typeof more === 'object') below.push(more);
  return below.some(hasSecret);
}
