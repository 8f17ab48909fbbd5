import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Problem } from '../../src/core/problem.ts';
import { MAX_FILE_BYTES, openSchemas, readSchemaFiles, watchSchemas } from '../../src/schema/load.ts';
import { ErrorBudget, type SchemaSet } from '../../src/schema/registry.ts';
import { lines } from './compiled.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'schemas-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Puts a whole file there at once: a watch may look at any moment. */
async function put(path: string, schema: unknown): Promise<void> {
  const part = join(folder, '.part');
  await writeFile(part, JSON.stringify(schema));
  await rename(part, join(folder, path));
}

/** Hands out what a watch reports, one after the other. */
function reports() {
  const queue: (SchemaSet | Problem[])[] = [];
  let wake = () => {};
  const push = (one: SchemaSet | Problem[]) => {
    queue.push(one);
    wake();
  };
  return {
    push,
    async next(): Promise<SchemaSet | Problem[]> {
      while (queue.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return queue.shift()!;
    },
  };
}

describe('reading', () => {
  it('takes all JSON files in order, in folders too, and no hidden ones', async () => {
    await mkdir(join(folder, 'v2'));
    await mkdir(join(folder, '.git'));
    await put('v2/purchase.json', {});
    await put('b.json', true);
    await put('.git/x.json', {});
    await writeFile(join(folder, 'readme.md'), '');
    await writeFile(join(folder, 'a.json'), new Uint8Array([0x22, 0xff, 0x22]));
    await writeFile(join(folder, 'huge.json'), '');
    await truncate(join(folder, 'huge.json'), MAX_FILE_BYTES + 1);
    expect(await readSchemaFiles(folder)).toEqual([
      { path: 'a.json', text: '', problem: expect.stringContaining('cannot be read') },
      { path: 'b.json', text: 'true' },
      { path: 'huge.json', text: '', problem: `is larger than ${MAX_FILE_BYTES} bytes` },
      { path: 'v2/purchase.json', text: '{}' },
    ]);
    await expect(readSchemaFiles(join(folder, 'missing'))).rejects.toThrow('ENOENT');
  });
});

describe('watching', () => {
  it('C28 swaps the whole set, or keeps it and tells why', async () => {
    await put('a.json', { type: 'string' });
    const { push, next } = reports();
    const watch = watchSchemas(folder, push, push, 5);
    try {
      const first = (await next()) as SchemaSet;
      expect(first.names()).toEqual(['a']);
      await put('b.json', { tpye: 'string' });
      expect(lines((await next()) as Problem[])).toEqual([
        'error b.json#/tpye keyword is unknown; is type meant?',
      ]);
      expect(watch.problems()).toHaveLength(1);
      await put('b.json.new', { $ref: 'a.json' });
      await rename(join(folder, 'b.json.new'), join(folder, 'b.json'));
      expect(((await next()) as SchemaSet).names()).toEqual(['a', 'b']);
      expect(watch.problems()).toEqual([]);
      await rm(join(folder, 'b.json'));
      expect(((await next()) as SchemaSet).names()).toEqual(['a']);
    } finally {
      watch.close();
    }
  });

  it('C28 sees what Kubernetes exchanges behind a link', async () => {
    await mkdir(join(folder, '..1'));
    await mkdir(join(folder, '..2'));
    await put('..1/a.json', { const: 1 });
    await put('..2/a.json', { const: 2 });
    await symlink('..1', join(folder, '..data'));
    await symlink('..data/a.json', join(folder, 'a.json'));
    const { push, next } = reports();
    const watch = watchSchemas(folder, push, push, 5);
    const accepts = (set: SchemaSet, value: number) =>
      set.find('a')!.check(value, 1, new ErrorBudget()) === null;
    try {
      const before = (await next()) as SchemaSet;
      expect([accepts(before, 1), accepts(before, 2)]).toEqual([true, false]);
      await symlink('..2', join(folder, '..data_tmp'));
      await rename(join(folder, '..data_tmp'), join(folder, '..data'));
      const after = (await next()) as SchemaSet;
      expect([accepts(after, 1), accepts(after, 2)]).toEqual([false, true]);
      expect(after.names()).toEqual(['a']);
    } finally {
      watch.close();
    }
  });

  it('opens with what is right, and goes on from there', async () => {
    await put('good.json', { type: 'string' });
    await put('bad.json', { type: 'strnig' });
    const { push, next } = reports();
    const schemas = await openSchemas(folder, push, 5);
    try {
      expect(schemas.set().names()).toEqual(['good']);
      expect(schemas.problems()).toEqual(await next());
      await put('good.json', { type: 'number', 'x-warn': 1 });
      await next();
      expect(schemas.set().find('good')!.check('x', 3, new ErrorBudget())).toBeNull();
      await put('bad.json', { type: 'string', 'x-warn': 2 });
      expect(await next()).toHaveLength(2);
      expect(schemas.set().names()).toEqual(['bad', 'good']);
      expect(schemas.set().find('good')!.check('x', 3, new ErrorBudget())).not.toBeNull();
    } finally {
      schemas.close();
    }
    await expect(openSchemas(join(folder, 'missing'), push)).rejects.toThrow('ENOENT');
  });
});
