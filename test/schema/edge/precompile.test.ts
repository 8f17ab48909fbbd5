import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { SchemaFile } from '../../../src/schema/compile.ts';
import { precompileSchemas } from '../../../src/schema/edge/precompile.ts';
import { type Precompiled, precompiledSet } from '../../../src/schema/edge/precompiled.ts';
import { readSchemaFiles } from '../../../src/schema/load.ts';
import { ErrorBudget, type SchemaSet } from '../../../src/schema/registry.ts';
import { compile } from '../compiled.ts';
import { fetchSuite } from '../fetch-suite.ts';

/** What a bundle's build does with the code. */
function ahead(files: readonly SchemaFile[]): SchemaSet {
  const { set, code } = precompileSchemas(files);
  const text = code(set.plain(set.names()));
  const made = new Function(`return ${text};`)() as Precompiled;
  return precompiledSet(made);
}

const filesOf = (schemas: Record<string, unknown>) =>
  Object.entries(schemas).map(([path, schema]) => ({ path, text: JSON.stringify(schema) }));

/** What both sets say to values, for one schema. */
function compare(schema: unknown, values: unknown[]): void {
  const files = { 'one.json': schema };
  const first = compile(files).set.find('one')!;
  const second = ahead(filesOf(files)).find('one')!;
  for (const value of values) {
    const said = second.check(value, 100, new ErrorBudget());
    expect(said).toEqual(first.check(value, 100, new ErrorBudget()));
  }
}

it('gives the functions of the sample schemas, which agree with the ones made in place', async () => {
  const files = await readSchemaFiles(join(import.meta.dirname, '../../../schemas'));
  const set = ahead(files);
  const same = precompileSchemas(files).set;
  expect(set.names()).toEqual(same.names());
  expect(set.plain(set.names())).toEqual(same.plain(same.names()));
  for (const name of set.names()) {
    for (const value of [{}, { id: 'x' }, { id: 'V1StGXR8_Z5jdHi6', at: 'now', extra: 1 }, null]) {
      const [said, expected] = [set, same].map((one) => one.find(name)!.check(value, 100, new ErrorBudget()));
      expect(said).toEqual(expected);
    }
  }
});

it('keeps all that our own keywords, patterns, formats and references do', () => {
  compare({ enum: [1, 'a', { b: [1] }, JSON.parse('{"__proto__":1}')] }, [
    1,
    { b: [1] },
    { b: [2] },
    {},
    JSON.parse('{"__proto__":1}'),
  ]);
  compare({ uniqueItems: true, items: { multipleOf: 0.01 } }, [[19.99, 1], [1, 1], [0.001]]);
  compare({ minLength: 2, maxLength: 3 }, ['😀', '😀😀', '😀😀😀😀', 'ab']);
  compare({ pattern: '^(a+)+$' }, ['aaaa', 'b']);
  compare({ patternProperties: { '^x-[a-z]{1,3}$': { type: 'string' } }, additionalProperties: false }, [
    { 'x-a': '1' },
    { 'x-a': 1 },
    { y: 1 },
  ]);
  compare({ format: 'date-time' }, ['2026-03-01T10:00:00Z', '2026-02-30T10:00:00Z']);
  compare({ properties: { next: { $ref: '#' }, v: { type: 'integer' } }, unevaluatedProperties: false }, [
    { next: { next: { v: 1 } } },
    { next: { next: { v: '1' } } },
    { next: { w: 1 } },
  ]);
});

it('is out of fuel where the other is', () => {
  const branch = { anyOf: [{ $ref: '#' }, { $ref: '#' }, { type: 'string' }] };
  const schema = { type: ['array', 'integer'], items: branch };
  let value: unknown = 1.5;
  for (let depth = 0; depth < 20; depth++) value = [value];
  compare(schema, [value]);
  const said = ahead(filesOf({ 'one.json': schema }))
    .find('one')!
    .check(value, 60, new ErrorBudget());
  expect(said![0]!.detail).toBe('is too complex to be checked against the schema');
});

it('C21 agrees on the official suite, errors included', { tags: ['slow'] }, async () => {
  const folder = join(await fetchSuite(), 'tests', 'draft2020-12');
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  let compared = 0;
  for (const name of names) {
    for (const { schema, tests } of JSON.parse(readFileSync(join(folder, name), 'utf8'))) {
      const files = { 'one.json': schema };
      const first = compile(files).set.find('one');
      // What refers to other files is left out there, and here.
      const second = ahead(filesOf(files)).find('one');
      expect(second === undefined).toBe(first === undefined);
      if (first === undefined) continue;
      for (const { data } of tests) {
        const said = second!.check(data, 100, new ErrorBudget());
        expect(said, `${name} ${JSON.stringify(schema)}`).toEqual(first.check(data, 100, new ErrorBudget()));
        compared++;
      }
    }
  }
  expect(compared).toBeGreaterThan(900);
});
