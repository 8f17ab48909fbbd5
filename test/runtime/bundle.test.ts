import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EdgeWorker } from '../../src/edge.ts';
import { makeProject, type Project } from '../e2e/postern.ts';
import { type Bundle, buildBundle } from './worker.ts';

const REPOSITORY = join(import.meta.dirname, '../..');

interface Meta {
  outputs: Record<string, { bytes: number; imports: unknown[]; inputs: Record<string, unknown> }>;
}
const read = (bundle: Bundle, name: string) => readFileSync(join(bundle.folder, name), 'utf8');

let project: Project;
beforeAll(async () => {
  project = await makeProject({ yaml: '' });
});
afterAll(() => project.remove());

describe('the bundle of the sample config', () => {
  let bundle: Bundle;
  let meta: Meta['outputs'][string];
  beforeAll(async () => {
    bundle = await buildBundle({ ...project, config: join(REPOSITORY, 'postern.yaml') });
    [meta] = Object.values((JSON.parse(read(bundle, 'meta.json')) as Meta).outputs) as [typeof meta];
  });

  it('has less than 300 kB', () => {
    expect(meta.bytes).toBe(Buffer.byteLength(read(bundle, 'worker.js')));
    expect(meta.bytes).toBeLessThan(300_000);
  });

  it('imports nothing, and holds nothing of Node, of stores, or that makes code', () => {
    expect(meta.imports).toEqual([]);
    const packages = new Set(
      Object.keys(meta.inputs).flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []),
    );
    // Of ajv-formats it is the list of expressions alone.
    expect([...packages].sort()).toEqual(['@noble/hashes', 'ajv-formats', 'cborg', 'hono', 'jose']);
    expect(Object.keys(meta.inputs).filter((path) => path.includes('ajv-formats'))).toEqual([
      expect.stringMatching(/ajv-formats\/dist\/formats\.js$/),
    ]);
    const own = Object.keys(meta.inputs).filter((path) => !path.includes('node_modules'));
    expect(own.filter((path) => /kafka|redis|sqlite|prometheus|dispatcher|commit\.ts/.test(path))).toEqual(
      [],
    );
    const text = read(bundle, 'worker.js');
    expect(text).not.toMatch(/\brequire\(|\bimport\(|\bnew Function\b|\beval\(|["']node:/);
  });

  it('runs wherever there is fetch', async () => {
    const { default: worker } = (await import(join(bundle.folder, 'worker.js'))) as { default: EdgeWorker };
    const env = { EDGE_ORIGIN: 'http://127.0.0.1:1' };
    const kept: Promise<unknown>[] = [];
    const lifetime = { waitUntil: (work: Promise<unknown>) => void kept.push(work) };
    const ask = async (path: string, init?: RequestInit) =>
      (await worker.fetch(new Request(`http://edge.example${path}`, init), env, lifetime)).status;
    expect(await ask('/openapi.json')).toBe(200);
    const headers = { 'content-type': 'application/json' };
    expect(await ask('/events/sensors', { method: 'POST', body: '{"deviceId":"d","seq":1}', headers })).toBe(
      422,
    );
    expect(
      await ask('/events/github', {
        method: 'POST',
        body: '{}',
        headers: { ...headers, 'idempotency-key': 'a' },
      }),
    ).toBe(503);
    await Promise.all(kept);
    expect(kept).toHaveLength(3);
  });

  it('holds no secret that a variable names, and asks for it by that name', () => {
    const text = read(bundle, 'worker.js');
    expect(text).not.toMatch(/kafka:9092|redis:\/\//);
    for (const name of ['SHOP_WRITE_KEY', 'GITHUB_SECRET']) {
      expect(text).toContain(name);
      expect(read(bundle, 'worker.capnp')).toContain(`(name = "${name}", fromEnvironment = "${name}")`);
      expect(read(bundle, 'wrangler.toml')).toContain(name);
    }
    expect(bundle.output).not.toContain('written in the config');
  });
});

describe('a build', () => {
  const SOURCES = `
log: { kafka: { brokers: ['\${NO_SUCH_BROKERS}'] } }
dedupe: { redis: { url: '\${NO_SUCH_REDIS}' } }
`;
  async function build(sources: string): Promise<Bundle> {
    writeFileSync(project.config, `${SOURCES}${sources}`);
    return buildBundle(project);
  }

  it('needs no variable of stores, nor the values of secrets', async () => {
    const bundle = await build(
      "sources: { s: { topic: s, keys: ['${NO_SUCH_KEY}', '${NO_SUCH_OTHER}'] }, h: { protocol: webhook, topic: h, verify: { scheme: standard, secrets: ['${NO_SUCH_HOOK}'] } } }",
    );
    expect(read(bundle, 'worker.js')).toContain('${NO_SUCH_HOOK}');
  });

  it('tells of secrets that end up in the bundle', async () => {
    const { output } = await build("sources: { s: { topic: s, keys: ['in-the-open'] } }");
    expect(output).toContain('source s: the bundle holds a secret that is written in the config');
  });

  it('ends with what is wrong with sources, schemas and secrets in files', async () => {
    await expect(build("sources: { s: { topic: 'no topic' } }")).rejects.toThrow('a topic has 1 to');
    await expect(build("sources: { s: { topic: s, keys: ['file:/etc/key'] } }")).rejects.toThrow(
      'a bundle has no files',
    );
    writeFileSync(join(project.folder, 'schemas', 'broken.json'), '{"type":"nothing"}');
    await expect(build('sources: { s: { topic: s } }')).rejects.toThrow('broken.json');
  });
});
