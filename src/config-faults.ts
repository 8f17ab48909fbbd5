import { Ajv, type ErrorObject } from 'ajv';
import { type ConfigDocument, configShape } from './config-shape.ts';
import type { Findings, Path } from './config-text.ts';

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
    const { path, message } = explain(error, findings);
    findings.error(path, message);
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

function explain(error: ErrorObject, findings: Findings): { path: Path; message: string } {
  const path = pathOf(error);
  const schema = error.parentSchema ?? {};
  const { keyword, params, data } = error;
  if (keyword === 'additionalProperties') {
    const name = String(params.additionalProperty);
    return {
      path: [...path, name],
      message: `unknown key${hint(name, Object.keys(schema.properties ?? {}))}`,
    };
  }
  if (keyword === 'required') return { path: [...path, params.missingProperty], message: 'is missing' };
  if (data === null) return { path, message: 'has no value' };
  let message = error.message ?? keyword;
  if (schema.title && (keyword === 'type' || keyword === 'pattern')) message = `must be ${schema.title}`;
  if (/^(?:min|max)Properties$/.test(keyword))
    message = `needs one of ${Object.keys(schema.properties ?? {}).join(', ')}`;
  if (keyword === 'enum') message = `must be one of ${params.allowedValues.join(', ')}`;
  // A value from the environment may be a secret in the wrong place.
  const shown = typeof data !== 'object' && !schema.writeOnly && !findings.fromEnvironment(path);
  return { path, message: shown ? `${message}; this is ${JSON.stringify(data).slice(0, 80)}` : message };
}

function hint(name: string, known: string[]): string {
  const near = known
    .map((key) => ({ key, edits: distance(name.slice(0, 64).toLowerCase(), key.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits)[0];
  if (near && near.edits <= Math.max(1, Math.floor(near.key.length / 3)))
    return `; did you mean ${near.key}?`;
  return known.length > 0 ? `; known here: ${known.join(', ')}` : '';
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
