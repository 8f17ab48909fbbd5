import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileSchemas, type SchemaFile } from '../../src/schema/compile.ts';
import { type Draft, dialectOf } from '../../src/schema/drafts.ts';
import { MetaChecks } from '../../src/schema/meta-checks.ts';
import { ErrorBudget } from '../../src/schema/registry.ts';
import { fetchSuite } from './fetch-suite.ts';

interface Group {
  description: string;
  schema: unknown;
  tests: { description: string; data: unknown; valid: boolean }[];
}

interface Deviation {
  file: string;
  group?: string;
  /** Part of the tests' descriptions. */
  test?: string;
  /** Tests that come out differently. */
  count: number;
  reason: string;
}

const CUSTOM = 'schemas under a meta-schema of their own are refused with a problem that says so';
const DEVIATIONS: Deviation[] = [
  {
    file: 'draft2020-12/format.json',
    test: 'only an annotation by default',
    count: 15,
    reason: 'a format decides, in all drafts: who writes one into an event schema means it',
  },
  {
    file: 'draft2020-12/unevaluatedItems.json',
    group: 'unevaluatedItems and contains interact to control item dependency relationship',
    count: 3,
    reason: 'items that a contains evaluates are known when it is beside or under allOf, not inside of an if',
  },
  { file: 'draft2019-09/vocabulary.json', count: 5, reason: CUSTOM },
  { file: 'draft2020-12/vocabulary.json', count: 5, reason: CUSTOM },
];

const FOLDERS: [string, Draft][] = [
  ['draft4', 4],
  ['draft6', 6],
  ['draft7', 7],
  ['draft2019-09', 2019],
  ['draft2020-12', 2020],
];
const FORMATS = ['date', 'time', 'date-time'].map((name) => join('optional', 'format', `${name}.json`));

let suite: string;
let remotes: SchemaFile[];
const meta = new MetaChecks();

beforeAll(async () => {
  suite = await fetchSuite();
  const folder = join(suite, 'remotes');
  remotes = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.json') && !/^draft(3|-next)/.test(path))
    .map((path) => ({ path, text: readFileSync(join(folder, path), 'utf8') }));
}, 120_000);

/** Schemas without `$schema` are meant for the draft whose test uses them. */
function textFor(draft: Draft, schema: unknown): string {
  const own = typeof schema !== 'object' || (schema as object | null) === null || '$schema' in schema!;
  return JSON.stringify(own ? schema : { $schema: dialectOf(draft), ...schema });
}

function differing(file: string, group: Group, draft: Draft): string[] {
  const text = textFor(draft, group.schema);
  const others = text.includes('localhost')
    ? remotes.map((one) => ({ path: one.path, text: textFor(draft, JSON.parse(one.text)) }))
    : [];
  const base = 'http://localhost:1234/';
  const { set } = compileSchemas([{ path: 'test-schema.json', text }, ...others], { base, meta });
  const validator = set.find('test-schema');
  return group.tests
    .filter(
      ({ data, valid }) => (validator?.check(data, 1, new ErrorBudget()) === null) !== valid || !validator,
    )
    .map((test) => [file, group.description, test.description].join(' | '));
}

describe('the official suite', () => {
  it.each(FOLDERS)('C21 passes for %s', (folder, draft) => {
    const tests = join(suite, 'tests', folder);
    const files = readdirSync(tests, { withFileTypes: true }).flatMap((entry) =>
      entry.isFile() ? [entry.name] : [],
    );
    expect(files.length).toBeGreaterThan(25);
    const different: string[] = [];
    for (const name of [...files, ...FORMATS]) {
      let text: string;
      try {
        text = readFileSync(join(tests, name), 'utf8');
      } catch {
        // Draft 4 knows date-time only.
        expect(draft).toBeLessThan(7);
        continue;
      }
      const file = relative(join(suite, 'tests'), join(tests, name));
      for (const group of JSON.parse(text) as Group[]) different.push(...differing(file, group, draft));
    }
    const known = DEVIATIONS.filter((one) => one.file.startsWith(`${folder}/`));
    for (const one of known) {
      const prefix = one.group === undefined ? `${one.file} | ` : `${one.file} | ${one.group} | `;
      const matching = different.filter((line) => line.startsWith(prefix) && line.includes(one.test ?? ''));
      expect(matching, one.reason).toHaveLength(one.count);
      for (const line of matching) different.splice(different.indexOf(line), 1);
    }
    expect(different).toEqual([]);
  });
});
