import { Ajv, type ErrorObject } from 'ajv';
import { type ConfigDocument, configShape } from '../shape.ts';
import { describeValue, isKeyShown, type ShapeNode } from './shown.ts';
import type { Findings, Path } from './text.ts';

/**
 * Holds a document against the config's shape and fills in defaults, both in place. What does not fit is
 * reported and then removed (what is required is replaced by something empty), so that the rest can be
 * checked in the same run. Null when nothing sensible is left.
 */
export function checkShape(document: unknown, findings: Findings): ConfigDocument | null {
  const ajv = new Ajv({
    allErrors: true,
    verbose: true,
    useDefaults: true,
    allowUnionTypes: true,
    validateSchema: false,
    // It runs once: making it quicker takes longer than it takes.
    code: { optimize: false },
  });
  const validate = ajv.compile<ConfigDocument>(shapeFor(document));
  const root = { document };
  if (validate(root.document)) return root.document;
  if (validate.errors!.filter((error) => convert(root, error, findings)).length > 0) validate(root.document);
  for (const error of validate.errors ?? []) {
    const { path, message, shown } = explain(error, findings);
    findings.error(path, message, shown);
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return null;
  // A pass can uncover the next fault: what was removed may be required, its stand-in may not do either.
  for (let pass = 0; pass < 8 && !validate(root.document); pass++) {
    for (const error of validate.errors!) mend(root, error, pass < 3);
  }
  return validate(root.document) ? (root.document as ConfigDocument) : null;
}

/** The shape without what the members of maps look like that the document does not have. */
function shapeFor(document: unknown): object {
  const shape = JSON.parse(JSON.stringify(configShape)) as {
    properties: Record<string, { additionalProperties?: unknown }>;
  };
  for (const [name, part] of Object.entries(shape.properties)) {
    const isMap = typeof part.additionalProperties === 'object';
    if (isMap && !Object.hasOwn(Object(document), name)) part.additionalProperties = true;
  }
  return shape;
}

function pathOf(error: ErrorObject): string[] {
  return error.instancePath
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** A variable's value is text; where a number or a boolean is wanted it is read as one. */
function convert(root: { document: unknown }, error: ErrorObject, findings: Findings): boolean {
  const path = pathOf(error);
  if (error.keyword !== 'type' || !findings.fromEnvironment(path)) return false;
  const wanted = [error.params.type].flat();
  const text = String(error.data);
  let value: unknown;
  if (wanted.includes('integer') && /^-?\d{1,15}$/.test(text)) value = Number(text);
  if (wanted.includes('boolean') && /^(true|false)$/.test(text)) value = text === 'true';
  if (value === undefined) return false;
  const [holder, key] = place(root, path);
  holder[key] = value;
  return true;
}

function mend(root: { document: unknown }, error: ErrorObject, standIn: boolean): void {
  const path = pathOf(error);
  if (error.keyword === 'required' && standIn) {
    const [holder, key] = place(root, [...path, error.params.missingProperty]);
    const type = error.parentSchema?.properties?.[key]?.type;
    holder[key] = type === 'object' ? {} : type === 'array' ? [] : '';
    return;
  }
  if (error.keyword === 'additionalProperties') path.push(error.params.additionalProperty);
  const [holder, key] = place(root, path);
  // All lists here are of texts; a removed item would shift the places of those after it.
  if (Array.isArray(holder) && standIn) holder[Number(key)] = '/';
  else if (Array.isArray(holder)) holder.splice(0);
  else delete holder[key];
}

/** The object or array that holds the value at a path, and the value's key in it. */
function place(root: object, path: readonly string[]): [Record<string, unknown>, string] {
  let holder = root as Record<string, unknown>;
  let key = 'document';
  for (const token of path) {
    holder = (holder[key] ?? {}) as Record<string, unknown>;
    key = token;
  }
  return [holder, key];
}

/** `shown`: the place for people, when the path has a key of the text that is no secret. */
function explain(error: ErrorObject, findings: Findings): { path: Path; message: string; shown?: Path } {
  const path = pathOf(error);
  const schema = (error.parentSchema ?? {}) as ShapeNode;
  const { keyword, params, data } = error;
  if (keyword === 'additionalProperties') {
    const name = String(params.additionalProperty);
    const known = Object.keys(schema.properties ?? {});
    const near = nearest(name, known);
    const message = `unknown key${near ? `; did you mean ${near}?` : known.length > 0 ? `; known here: ${known.join(', ')}` : ''}`;
    const at = [...path, name];
    const isShown = near !== null || isKeyShown(schema, name, (data as Record<string, unknown>)[name]);
    return { path: at, message, ...(isShown ? { shown: at } : {}) };
  }
  if (keyword === 'required') return { path: [...path, params.missingProperty], message: 'is missing' };
  if (data === null) return { path, message: 'has no value' };
  let message = error.message ?? keyword;
  if (schema.title && (keyword === 'type' || keyword === 'pattern')) message = `must be ${schema.title}`;
  if (/^(?:min|max)Properties$/.test(keyword))
    message = `needs one of ${Object.keys(schema.properties ?? {}).join(', ')}`;
  if (keyword === 'enum') message = `must be one of ${params.allowedValues.join(', ')}`;
  // Of a list or an object that is one, the kind is known.
  if (typeof data === 'object' && keyword !== 'type') return { path, message };
  if (findings.fromEnvironment(path)) return { path, message };
  const words: string[] = params.allowedValues ?? [];
  const value = describeValue(path, schema, data, (text) => nearest(text, words) !== null);
  return { path, message: `${message}; this is ${value}` };
}

/** The word that somebody may have meant; null when none is near. */
function nearest(text: string, words: string[]): string | null {
  const near = words
    .map((word) => ({ word, edits: distance(text.slice(0, 64).toLowerCase(), word.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits)[0];
  return near && near.edits <= Math.max(1, Math.floor(near.word.length / 3)) ? near.word : null;
}

/** Edits between two words, a swap of neighbours counting as one. */
function distance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i, ...new Array<number>(b.length).fill(0)]);
  for (let j = 1; j <= b.length; j++) rows[0]![j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let edits = Math.min(rows[i - 1]![j]! + 1, rows[i]![j - 1]! + 1, rows[i - 1]![j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        edits = Math.min(edits, rows[i - 2]![j - 2]! + 1);
      rows[i]![j] = edits;
    }
  }
  return rows[a.length]![b.length]!;
}
