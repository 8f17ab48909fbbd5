import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { compileSchemas } from '../../src/schema/compile.ts';
import { MetaChecks } from '../../src/schema/meta-checks.ts';
import { ErrorBudget } from '../../src/schema/registry.ts';
import { check, compile, lines } from './compiled.ts';

const DRAFT_04 = 'http://json-schema.org/draft-04/schema#';
const DRAFT_06 = 'http://json-schema.org/draft-06/schema#';
const DRAFT_07 = 'http://json-schema.org/draft-07/schema#';
const DRAFT_2019 = 'https://json-schema.org/draft/2019-09/schema';
const DRAFT_2020 = 'https://json-schema.org/draft/2020-12/schema';

describe('problems', () => {
  it('C20 unknown formats and annotations warn, a typo is an error of its file only', () => {
    const { set, problems } = compile({
      'gen.json': {
        $schema: DRAFT_07,
        'x-origin': 'gen',
        properties: { n: { type: 'integer', format: 'int64', example: 1, nullable: true } },
      },
      'typo.json': { properties: { 'a/b': { minLenght: 3 } } },
    });
    expect(set.names()).toEqual(['gen']);
    expect(lines(problems)).toEqual([
      'warning gen.json#/x-origin keyword has no meaning in draft-07 and is ignored',
      'warning gen.json#/properties/n/format format "int64" is not checked',
      'warning gen.json#/properties/n/example keyword has no meaning in draft-07 and is ignored',
      'warning gen.json#/properties/n/nullable keyword has no meaning in draft-07 and is ignored',
      'error typo.json#/properties/a~1b/minLenght keyword is unknown; is minLength meant?',
    ]);
  });

  it.each([
    ['{', '', 'not JSON'],
    ['[]', '', 'is not a schema'],
    ['{"type":"strnig"}', '/type', 'must be'],
    ['{"minLength":-1}', '/minLength', 'must be >= 0'],
    ['{"properties":{"a":{"required":"b"}}}', '/properties/a/required', 'must be array'],
    ['{"$schema":"http://json-schema.org/draft-03/schema#"}', '/$schema', 'none of the drafts'],
    ['{"minimum":1e400}', '/minimum', 'must be number'],
    ['{"$id":"http://[","type":"string"}', '', 'is not a valid URI'],
  ])('C20 names the place in %s', (text, pointer, message) => {
    const { set, problems } = compileSchemas([
      { path: 'bad.json', text },
      { path: 'good.json', text: '{}' },
    ]);
    expect(set.names()).toEqual(['good']);
    expect(problems).toContainEqual(
      expect.objectContaining({
        level: 'error',
        file: 'bad.json',
        pointer,
        message: expect.stringContaining(message),
      }),
    );
  });

  it('C20 looks at schemas where no keyword has one, when they are referred to', () => {
    const { set, problems } = compile({
      'a.json': { $ref: '#/x-parts/a~1b', 'x-parts': { 'a/b': { properties: null }, other: { type: 7 } } },
      'b.json': { $ref: '#/x-parts/ok', 'x-parts': { ok: { type: 'string' }, other: { type: 7 } } },
    });
    expect(set.names()).toEqual(['b']);
    expect(lines(problems)).toContain('error a.json#/x-parts/a~1b/properties must be object');
    expect(set.find('b')!.check(1, 1, new ErrorBudget())).not.toBeNull();
  });

  it('C20 says in which line JSON is broken', () => {
    const { problems } = compileSchemas([{ path: 'a.json', text: '{\n"type": "object",\n}' }]);
    expect(problems).toMatchObject([{ level: 'error', file: 'a.json', line: 3 }]);
  });

  it('C20 a schema that needs a broken one is left out too, and a second one with the same id', () => {
    const { set, problems } = compile({
      'a.json': { $id: 'https://x.example/a', properties: { b: { $ref: 'b' } } },
      'b.json': { $id: 'https://x.example/b', tpye: 'string' },
      'c.json': { $id: 'https://x.example/c' },
      'd.json': { $id: 'https://x.example/c' },
    });
    expect(set.names()).toEqual(['c']);
    expect(lines(problems)).toEqual([
      'error a.json#/properties/b/$ref refers to b.json, which has errors',
      'error b.json#/tpye keyword is unknown; is type meant?',
      'error d.json# has the same id as c.json#: https://x.example/c',
    ]);
  });
});

describe('drafts', () => {
  it('C21 judges each schema by its own draft', () => {
    const { set, problems } = compile({
      'v4.json': { $schema: DRAFT_04, id: 'urn:v4', minimum: 3, exclusiveMinimum: true, const: 4 },
      'v6.json': {
        $schema: DRAFT_06,
        $ref: '#/definitions/n',
        maximum: 1,
        definitions: { n: { exclusiveMinimum: 3 } },
      },
      'v7.json': {
        $schema: DRAFT_07,
        items: [{ const: 1 }],
        additionalItems: false,
        dependentRequired: { a: ['b'] },
      },
      'v2019.json': { $schema: DRAFT_2019, dependentRequired: { a: ['b'] }, prefixItems: [false] },
      'v2020.json': { $schema: DRAFT_2020, prefixItems: [{ const: 1 }], items: false },
      'none.json': { prefixItems: [{ const: 1 }], items: false },
    });
    const ok = (name: string, value: unknown) => set.find(name)!.check(value, 1, new ErrorBudget()) === null;
    expect(problems.filter((problem) => problem.level === 'error')).toEqual([]);
    expect([ok('v4', 3), ok('v4', 5)]).toEqual([false, true]);
    expect([ok('v6', 3), ok('v6', 5)]).toEqual([false, true]);
    expect([ok('v7', [1]), ok('v7', [1, 2]), ok('v7', { a: 1 })]).toEqual([true, false, true]);
    expect([ok('v2019', { a: 1 }), ok('v2019', { a: 1, b: 1 }), ok('v2019', [1])]).toEqual([
      false,
      true,
      true,
    ]);
    expect([ok('v2020', [1]), ok('v2020', [1, 2])]).toEqual([true, false]);
    expect([ok('none', [1]), ok('none', [1, 2])]).toEqual([true, false]);
    expect(set.find('urn:v4')?.name).toBe('v4');
  });

  it('C21 refers across drafts, also in a circle', () => {
    const { set, problems } = compile({
      'new.json': {
        $id: 'https://x.example/new',
        properties: { old: { $ref: 'old.json' } },
        unevaluatedProperties: false,
      },
      'v1/old.json': {
        $schema: DRAFT_04,
        id: 'https://x.example/old.json',
        properties: { n: { minimum: 0, exclusiveMinimum: true }, again: { $ref: 'new' } },
      },
    });
    expect(problems).toEqual([]);
    const errors = (value: unknown) => set.find('new')!.check(value, 100, new ErrorBudget());
    expect(errors({ old: { n: 1, again: { old: { n: 2 } } } })).toBeNull();
    expect(errors({ old: { again: { old: { n: 0 } } } })).toMatchObject([{ pointer: '#/old/again/old/n' }]);
    expect(errors({ old: { again: { odd: 1 } } })).toMatchObject([{ pointer: '#/old/again/odd' }]);
  });
});

describe('references', () => {
  it('C29 resolves local ones and connects to nothing', async () => {
    let connections = 0;
    const server = createServer(() => connections++).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { set, problems } = compile({
      'a.json': {
        anyOf: [{ $ref: `http://127.0.0.1:${port}/s.json` }, { $ref: 'http://192.0.2.1/s' }],
        not: { $ref: '#/$defs/missing' },
      },
      'b.json': {
        $ref: 'sub/c.json#/$defs/n',
        properties: { s: { $ref: DRAFT_07 }, t: { $ref: DRAFT_2020 } },
      },
      'sub/c.json': { $defs: { n: { $ref: '../d.json' } } },
      'd.json': { $id: 'https://x.example/d', properties: { e: { $ref: 'e' } } },
      'e.json': { $id: 'https://x.example/e', type: 'integer' },
    });
    expect(set.names()).toEqual(['b', 'sub/c', 'd', 'e']);
    expect(lines(problems)).toEqual([
      `error a.json#/anyOf/0/$ref "http://127.0.0.1:${port}/s.json" is not in the schema folder, and nothing is fetched`,
      'error a.json#/anyOf/1/$ref "http://192.0.2.1/s" is not in the schema folder, and nothing is fetched',
      'error a.json#/not/$ref "#/$defs/missing" points to nothing, or to what is not a schema',
    ]);
    const check = (value: unknown) => set.find('b')!.check(value, 100, new ErrorBudget());
    expect(check({ e: 1, s: { type: 'string' }, t: { type: 'array' } })).toBeNull();
    expect(check({ e: 'x' })).toMatchObject([{ pointer: '#/e', detail: 'must be integer' }]);
    expect(check({ s: { type: 1 } })).not.toBeNull();
    expect(check({ t: { minItems: -1 } })).toMatchObject([{ pointer: '#/t/minItems' }]);
    await new Promise((closed) => server.close(closed));
    expect(connections).toBe(0);
  });
});

describe('compiling', () => {
  it('C28 compiles once for each schema version, and an unknown name leaves nothing behind', () => {
    const meta = new MetaChecks();
    const files = ['a', 'b', 'c', 'd', 'e'].map((name) => ({
      path: `${name}.json`,
      text: JSON.stringify({ type: 'object', required: [name] }),
    }));
    const { set } = compileSchemas(files, { meta });
    const validators = set.names().map((name) => set.find(name));
    const compiles = countCompiles(() => {
      for (let i = 0; i < 50_000; i++) {
        const name = 'abcde'[i % 5]!;
        expect(set.find(name)).toBe(validators[i % 5]);
        if (set.find(name)!.check({ [name]: 1 }, 10, new ErrorBudget()) !== null) throw new Error('refused');
        if (set.find(`unknown-${i}`) !== undefined) throw new Error('found');
      }
    });
    expect(compiles).toBe(0);
    expect(set.names()).toHaveLength(5);
    expect(countCompiles(() => compileSchemas(files, { meta }))).toBe(5);
    // The list of all faults is one more function for each schema that needs it, once.
    const refuse = () => set.find('a')!.check({}, 2, new ErrorBudget());
    expect(countCompiles(() => [refuse(), refuse()])).toBe(1);
  });

  it('C24 changes nothing in the payload, and null is null', () => {
    const schema = {
      properties: { n: { oneOf: [{ type: 'null' }, { type: 'integer' }], default: 7 }, d: { default: 'x' } },
      allOf: [{ properties: { n: {} }, additionalProperties: true }, { properties: { n: {}, o: {} } }],
    };
    const strict = { allOf: [{ properties: { a: {} }, additionalProperties: false }] };
    for (const json of ['{"n":null}', '{"n":5,"o":[1]}', '{}']) {
      const { set } = compile({ 'one.json': schema });
      const value = JSON.parse(json);
      expect(set.find('one')!.check(value, json.length, new ErrorBudget())).toBeNull();
      expect(JSON.stringify(value)).toBe(json);
    }
    expect(check(schema, '{"n":"5"}')).not.toBeNull();
    expect(check(strict, '{"a":1,"b":2}')).toMatchObject([{ pointer: '#/b', detail: 'is not allowed' }]);
    expect(check({ type: 'number' }, '1e400')).not.toBeNull();
  });
});

/** How many functions are made from code while something runs. */
function countCompiles(run: () => unknown): number {
  const Original = globalThis.Function;
  let count = 0;
  globalThis.Function = new Proxy(Original, {
    construct(target, args) {
      count++;
      return Reflect.construct(target, args);
    },
  });
  try {
    run();
  } finally {
    globalThis.Function = Original;
  }
  return count;
}
