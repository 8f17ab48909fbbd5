import { Ajv, type ErrorObject } from 'ajv';
import { editDistance } from '../../core/edit-distance.ts';
import type { Findings } from './findings.ts';
import type { Path } from './path.ts';
import { describeValue, isKeyShown, type ShapeNode } from './shown.ts';

/**
 * Checks a document against `findings.shape` and fills in defaults. Changes the document: a value that does not fit is
 * reported and removed, or replaced by an empty one where it is required, so that one run finds all errors. Null when
 * no document of this shape can be made.
 */
export function checkShape<T>(document: unknown, findings: Findings): T | null {
  const ajv = new Ajv({
    allErrors: true,
    verbose: true,
    useDefaults: true,
    allowUnionTypes: true,
    validateSchema: false,
    // The check runs once: optimizing its code takes longer than running it.
    code: { optimize: false },
  });
  const validate = ajv.compile<T>(shapeFor(document, findings.shape));
  const root = { document };
  if (validate(root.document)) return root.document;
  if (validate.errors!.filter((error) => convert(root, error, findings)).length > 0) validate(root.document);
  for (const error of validate.errors ?? []) {
    const { path, message, shown } = explain(error, findings);
    findings.error(path, message, shown);
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return null;
  // A repair can cause the next error: a removed value may be required, and its replacement may not fit either.
  for (let pass = 0; pass < 8 && !validate(root.document); pass++) {
    for (const error of validate.errors!) repair(root, error, pass < 3);
  }
  return validate(root.document) ? (root.document as T) : null;
}

/** The shape without the members of the maps that the document does not have: they take time to compile. */
function shapeFor(document: unknown, root: ShapeNode): object {
  const shape = JSON.parse(JSON.stringify(root)) as ShapeNode;
  for (const [name, part] of Object.entries(shape.properties!)) {
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

/** Turns the text of a variable into a number or a boolean, where the shape wants one. */
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

function repair(root: { document: unknown }, error: ErrorObject, standIn: boolean): void {
  const path = pathOf(error);
  if (error.keyword === 'required' && standIn) {
    const [holder, key] = place(root, [...path, error.params.missingProperty]);
    const type = error.parentSchema?.properties?.[key]?.type;
    holder[key] = type === 'object' ? {} : type === 'array' ? [] : '';
    return;
  }
  if (error.keyword === 'additionalProperties') path.push(error.params.additionalProperty);
  const [holder, key] = place(root, path);
  // Lists here hold texts. Removing an item would change the indexes of the items after it.
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

/** `shown`: the path for people, when it ends in an unknown key that is surely not a secret. */
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
  // The message already implies that it is a list or an object.
  if (typeof data === 'object' && keyword !== 'type') return { path, message };
  if (findings.fromEnvironment(path)) return { path, message };
  const words: string[] = params.allowedValues ?? [];
  const value = describeValue(findings.shape, path, schema, data, (text) => nearest(text, words) !== null);
  return { path, message: `${message}; this is ${value}` };
}

/** The word that was probably meant; null when none resembles the text. */
function nearest(text: string, words: string[]): string | null {
  const near = words
    .map((word) => ({ word, edits: editDistance(text.slice(0, 64).toLowerCase(), word.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits)[0];
  return near && near.edits <= Math.max(1, Math.floor(near.word.length / 3)) ? near.word : null;
}
