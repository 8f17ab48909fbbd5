import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

const SRC = join(import.meta.dirname, '..', 'src');
const LONGEST_FILE = 250;
/** The two entries; nothing else stands at the top. */
const ENTRIES = ['main.ts', 'edge.ts'];
/** Each folder's layer. Imports go down the list, those of types too. */
const LAYERS = {
  cli: ['cli'],
  app: ['app'],
  journey: ['gateway', 'dispatcher', 'streams', 'workflows', 'admin'],
  shared: ['consume', 'function', 'filter', 'schema', 'cloudevents'],
  port: ['ports'],
  base: ['config', 'core', 'json'],
} as const;
type Layer = 'entry' | keyof typeof LAYERS | 'adapter' | 'unknown';
/** What each layer may import besides itself. */
const BELOW: Record<Exclude<Layer, 'unknown'>, Layer[]> = {
  entry: ['cli', 'app', 'journey', 'shared', 'port', 'base', 'adapter'],
  cli: ['app', 'journey', 'shared', 'port', 'base', 'adapter'],
  app: ['journey', 'shared', 'port', 'base', 'adapter'],
  journey: ['shared', 'port', 'base'],
  shared: ['port', 'base'],
  adapter: ['port', 'base'],
  port: ['base'],
  base: [],
};
/** What only runs on Node, or needs code generation. */
const NODE_ONLY =
  /^(node:|(kafkajs|ioredis|ajv|ajv-formats|ajv-draft-04|prom-client|pino|undici|yaml|typebox)(\/|$))/;

interface Import {
  from: string;
  /** A path below src, or a package. */
  to: string;
  relative: boolean;
  typeOnly: boolean;
}

interface Source {
  path: string;
  text: string;
  imports: Import[];
}

function importsOf(path: string, text: string): Import[] {
  const code = text.replace(/\/\*.*?\*\//gs, '').replace(/^\s*\/\/.*$/gm, '');
  const statements = code.matchAll(/^(?:import|export)\s+(type\s)?(?:[^;'"]*?\sfrom\s+)?(['"])(.+?)\2/gm);
  const calls = code.matchAll(/\bimport\(\s*(['"])(.+?)\1/g);
  const found = [...statements].map((match) => ({ name: match[3]!, typeOnly: match[1] !== undefined }));
  for (const match of calls) found.push({ name: match[2]!, typeOnly: false });
  return found.map(({ name, typeOnly }) => {
    const relative = name.startsWith('.');
    return { from: path, to: relative ? normalize(join(dirname(path), name)) : name, relative, typeOnly };
  });
}

const sources: Source[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8');
    return { path, text, imports: importsOf(path, text) };
  });
const inside = sources.flatMap(({ imports }) => imports).filter(({ relative }) => relative);

function layerOf(path: string): Layer {
  const [folder] = path.split('/') as [string];
  if (folder === path) return ENTRIES.includes(path) ? 'entry' : 'unknown';
  if (folder === 'adapters') return 'adapter';
  for (const [layer, folders] of Object.entries(LAYERS))
    if ((folders as readonly string[]).includes(folder)) return layer as Layer;
  return 'unknown';
}

function isAllowed({ from, to }: Import): boolean {
  const [source, target] = [layerOf(from), layerOf(to)];
  if (source === 'unknown' || target === 'unknown') return false;
  // Journeys never import each other.
  if (source === 'journey' && target === 'journey') return from.split('/')[0] === to.split('/')[0];
  return source === target || BELOW[source].includes(target);
}

const show = ({ from, to }: Import) => `${from} -> ${to}`;

/** All that is loaded with a file: imports of types are gone by then. */
function closure(start: string[]): Import[] {
  const seen = new Set(start);
  const loaded: Import[] = [];
  for (const path of seen) {
    for (const one of sources.find((source) => source.path === path)?.imports ?? []) {
      if (one.typeOnly) continue;
      loaded.push(one);
      if (one.relative) seen.add(one.to);
    }
  }
  return loaded;
}

test('the scanner sees every kind of import', () => {
  const text = `import { a } from './a.ts';
import type { B } from "../b.ts";
import {
  c,
  type D,
} from 'c';
import 'd';
export { e } from './e.ts';
export type { F } from './f.ts';
// import { no } from 'no';
/* import 'no'; */
const g = await import('g');
const text = 'from';
export const h = 'x';
`;
  expect(importsOf('x/y.ts', text).map(({ to, typeOnly }) => `${to}${typeOnly ? ' type' : ''}`)).toEqual([
    'x/a.ts',
    'b.ts type',
    'c',
    'd',
    'x/e.ts',
    'x/f.ts type',
    'g',
  ]);
  expect(sources.length).toBeGreaterThan(20);
  expect(inside.length).toBeGreaterThan(50);
});

test('imports go down the layers only; only cli, app and the entries know adapters', () => {
  expect(sources.map(({ path }) => path).filter((path) => layerOf(path) === 'unknown')).toEqual([]);
  expect(inside.filter((one) => !isAllowed(one)).map(show)).toEqual([]);
});

test('relative imports name a .ts file that exists', () => {
  const paths = new Set(sources.map(({ path }) => path));
  expect(inside.filter(({ to }) => !paths.has(to)).map(show)).toEqual([]);
});

test('no import cycles', () => {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): void => {
    if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
    if (done.has(path) || trail.includes(path)) return;
    const imports = sources.find((source) => source.path === path)?.imports ?? [];
    for (const { to, relative, typeOnly } of imports) if (relative && !typeOnly) visit(to, [...trail, path]);
    done.add(path);
  };
  for (const { path } of sources) visit(path, []);
  expect(cycles).toEqual([]);
});

test('what also runs at the edge loads nothing of Node', () => {
  const atEdge = sources
    .map(({ path }) => path)
    .filter((path) => path.startsWith('gateway/') || path === 'schema/registry.ts' || path === 'edge.ts');
  expect(
    closure(atEdge)
      .filter(({ to }) => NODE_ONLY.test(to))
      .map(show),
  ).toEqual([]);
  const gateway = sources.filter(({ path }) => path.startsWith('gateway/') || path === 'schema/registry.ts');
  expect(
    gateway
      .flatMap(({ imports }) => imports)
      .filter(({ to }) => NODE_ONLY.test(to))
      .map(show),
  ).toEqual([]);
});

test(`no file has more than ${LONGEST_FILE} lines`, () => {
  const lines = sources.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }));
  expect(lines.filter((file) => file.lines > LONGEST_FILE)).toEqual([]);
});

test('no default exports, no barrels, no folders for leftovers', () => {
  const has = (pattern: RegExp) => sources.filter(({ text }) => pattern.test(text)).map(({ path }) => path);
  expect(has(/^export default\b|\bas default\b/m)).toEqual([]);
  const names = sources.map(({ path }) => path);
  expect(names.filter((path) => /(^|\/)(utils?|helpers?|common|shared|lib)(\/|\.ts$)/.test(path))).toEqual(
    [],
  );
  expect(names.filter((path) => path.endsWith('index.ts'))).toEqual([]);
});

test('only the entries and the commands read the environment', () => {
  const readers = sources.filter(({ text }) =>
    /\bprocess\s*\.\s*env\b|\bprocess\s*\[|[{,]\s*env\b[^}]*}\s*=\s*process\b/.test(text),
  );
  expect(readers.map(({ path }) => path).filter((path) => !['entry', 'cli'].includes(layerOf(path)))).toEqual(
    [],
  );
});
