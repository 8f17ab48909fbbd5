import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

const SRC = join(import.meta.dirname, '..', 'src');
/** Lines of a file, as a rule. */
const LONGEST_FILE = 200;
/** Files that are longer, and why: each holds one idea that reads worse in two files. */
const LONGER: Record<string, string> = {
  'consume/member.ts': 'one membership of a group, from its start to its end',
  'dispatcher/breaker.ts': 'one state machine',
  'dispatcher/deliver.ts': 'the life of one call',
  'dispatcher/remembered.ts': 'one queue of deliveries between two stores',
  'gateway/formats/cbor-text.ts': 'one walk over the items of CBOR',
  'schema/emit.ts': 'one recursive rewriting of a schema',
  'schema/pattern/syntax.ts': 'one parser',
  'streams/partition-state.ts': 'one state and all that changes it',
  'workflows/action-runner.ts': 'one machine that carries out what an instance decides',
};
const LONGEST_OF_ALL = 250;
/** Libraries of whose private parts we know. Only one place imports these; the reason stands there. */
const FENCES: { library: RegExp; place: RegExp }[] = [
  { library: /^kafkajs(\/|$)/, place: /^adapters\/kafka\/kafkajs\// },
  { library: /^@platformatic\/kafka(\/|$)/, place: /^adapters\/kafka\/platformatic\// },
  // What lies below `refs` are the meta-schemas of the standard.
  { library: /^ajv\/(?!dist\/refs\/)/, place: /^schema\/engine\.ts$/ },
  { library: /^re2js(\/|$)/, place: /^schema\/pattern\/linear\.ts$/ },
];
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

/** Circles of a graph, each once, as `a -> b -> a`. */
function cyclesOf(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (node: string, trail: string[]): void => {
    if (trail.includes(node)) cycles.push([...trail.slice(trail.indexOf(node)), node].join(' -> '));
    if (done.has(node) || trail.includes(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...trail, node]);
    done.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return cycles;
}

function graphOf(edges: Iterable<[string, string]>): Map<string, Set<string>> {
  const graph = new Map<string, Set<string>>();
  for (const [from, to] of edges) graph.set(from, (graph.get(from) ?? new Set()).add(to));
  return graph;
}

test('files do not import each other in circles, nor do their types', () => {
  expect(cyclesOf(graphOf(inside.map(({ from, to }) => [from, to])))).toEqual([]);
});

test('folders do not import each other in circles', () => {
  const edges = inside.map(({ from, to }): [string, string] => [dirname(from), dirname(to)]);
  // A folder may use what lies in its own subfolders, and the other way round: they are one room.
  const isNested = (a: string, b: string) => a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
  expect(cyclesOf(graphOf(edges.filter(([from, to]) => !isNested(from, to))))).toEqual([]);
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

test(`no file has more than ${LONGEST_FILE} lines, but those that say why`, () => {
  const lines = sources.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }));
  const long = lines.filter(
    (file) => file.lines > (LONGER[file.path] === undefined ? LONGEST_FILE : LONGEST_OF_ALL),
  );
  expect(long).toEqual([]);
  const needless = Object.keys(LONGER).filter(
    (path) => !lines.some((file) => file.path === path && file.lines > LONGEST_FILE),
  );
  expect(needless).toEqual([]);
});

test('private parts of libraries are known in one place', () => {
  const outside = sources
    .flatMap(({ imports }) => imports)
    .filter(({ from, to }) => FENCES.some(({ library, place }) => library.test(to) && !place.test(from)));
  expect(outside.map(show)).toEqual([]);
});

test('no module keeps state', () => {
  // What is made at the top of a module, and then changed by it.
  const state = sources.flatMap(({ path, text }) => {
    const variables = [...text.matchAll(/^(?:export )?let (\w+)/gm)].map(([, name]) => name!);
    const made = [
      ...text.matchAll(
        /^(?:export )?const (\w+)[^=\n]*= (?:new (?:Map|Set|WeakMap|WeakSet)\b[^\n]*|\[\]|\{\});$/gm,
      ),
    ];
    const changed = made
      .map(([, name]) => name!)
      .filter((name) =>
        new RegExp(`\\b${name}(?:\\.(?:set|add|delete|clear|push|pop|shift|splice)\\(|\\[[^\\]]+\\] =)`).test(
          text,
        ),
      );
    return [...variables, ...changed].map((name) => `${path}: ${name}`);
  });
  expect(state).toEqual([]);
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

test('the places that docs/contribute/architecture.md names are there', () => {
  const root = join(SRC, '..');
  const text = readFileSync(join(root, 'docs/contribute/architecture.md'), 'utf8');
  const named = [...text.matchAll(/`((?:src|test)\/[^`]+)`/g)].map((match) => match[1]!);
  expect(named.length).toBeGreaterThan(12);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
