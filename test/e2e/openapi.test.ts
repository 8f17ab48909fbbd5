import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';
import { runPython } from './python.ts';

const SCHEMATHESIS = ['schemathesis==4.32.5'];
const VALIDATOR = ['openapi-spec-validator==0.9.0'];
const prefix = `openapi-${crypto.randomUUID().slice(0, 8)}`;
const common = `
log: { kafka: { brokers: ['${inject('kafkaBrokers')}'], create: {} } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' } }
`;

const reading = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  required: ['device', 'seq', 'state'],
  properties: {
    device: { type: 'string', minLength: 1, maxLength: 40, pattern: '^[a-z0-9-]+$' },
    seq: { type: 'integer', minimum: 0, maximum: 1_000_000 },
    state: { enum: ['on', 'off', null] },
    pair: { type: 'array', items: [{ type: 'string' }, { type: 'integer' }], additionalItems: false },
    next: { $ref: '#/definitions/link' },
    tags: { type: 'array', maxItems: 5, uniqueItems: true, items: { type: 'string', maxLength: 10 } },
  },
  dependencies: { pair: ['next'] },
  additionalProperties: false,
  definitions: {
    link: {
      type: 'object',
      properties: { to: { type: 'string', maxLength: 40 }, next: { $ref: '#/definitions/link' } },
      additionalProperties: false,
    },
  },
};

interface Report {
  test_cases: { generated: number; with_failures: number; errored: number };
  errors: { title: string }[];
  complete: boolean;
  operations: { total: number; tested: number };
}

async function start(yaml: string): Promise<{ project: Project; postern: Postern; file: string }> {
  const project = await makeProject({ yaml: common + yaml, schemas: { reading } });
  const postern = await startPostern(project, { command: ['serve', '--role', 'gateway'] });
  const file = join(project.folder, 'openapi.json');
  await writeFile(file, await (await fetch(`${postern.url}/openapi.json`)).text());
  return { project, postern, file };
}

/** Rejects with what schemathesis prints when it finds something. */
async function run(
  { project, postern, file }: Awaited<ReturnType<typeof start>>,
  cases: number,
  checks: string,
  keys: object,
): Promise<Report> {
  const report = join(project.folder, 'report.json');
  const args = [file, postern.url, String(cases), checks, report, JSON.stringify(keys)];
  await runPython(SCHEMATHESIS, 'schemathesis-run.py', args).catch((error: { stdout?: string }) => {
    throw new Error(error.stdout || String(error));
  });
  return JSON.parse(await readFile(report, 'utf8')) as Report;
}

/** Verdicts and statuses by source, such as `any 202`, as the metrics have them. */
async function seen({ admin }: Postern): Promise<Set<string>> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const lines = text.matchAll(
    /^postern_(?:events|requests)_total\{source="(\S+?)",(?:verdict|code)="(\w+)"\} [1-9]/gm,
  );
  return new Set([...lines].map(([, source, what]) => `${source} ${what}`));
}

async function stop({ project, postern }: Awaited<ReturnType<typeof start>>): Promise<void> {
  postern.kill('SIGTERM');
  expect(await postern.exited).toBe(0);
  await project.remove();
}

describe('what the document says of a gateway with sources of all kinds', () => {
  let gateway: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    const topic = (name: string) => `topic: ${prefix}.${name}`;
    gateway = await start(`
sources:
  any: { ${topic('any')} }
  reading: { ${topic('reading')}, id: content, key: /device, schema: reading }
  types: { ${topic('types')}, id: content, type: state, schema: { state: reading } }
  whole: { ${topic('whole')}, id: content, batch: all-or-nothing, key: /a }
  locked: { ${topic('locked')}, id: content, keys: [key-of-locked] }
  device: { ${topic('device')}, id: content, verify: { scheme: device, secrets: [secret-of-devices] } }
  signed:
    ${topic('signed')}
    id: content
    verify: { scheme: hmac, header: X-Hub-Signature-256, prefix: sha256=, secrets: [secret-of-signed] }
  limited: { ${topic('limited')}, id: content, rate: { events: 3 } }
  pages: { ${topic('pages')}, id: content, origins: ['https://shop.example'] }
  segment: { protocol: segment, ${topic('segment')}, keys: [key-of-segment] }
  github: { protocol: webhook, ${topic('github')}, verify: { scheme: github, secrets: [secret-of-github] } }
  slack: { protocol: webhook, ${topic('slack')}, verify: { scheme: slack, secrets: [secret-of-slack] } }
  hook: { protocol: webhook, ${topic('hook')}, keys: [key-of-hook] }
`);
  });
  afterAll(() => stop(gateway));

  it('is valid OpenAPI 3.1', async () => {
    expect(JSON.parse(await runPython(VALIDATOR, 'openapi-valid.py', [gateway.file]))).toEqual([]);
  });

  it('holds in two thousand hostile cases and more', { timeout: 400_000 }, async () => {
    const checks = [
      'not_a_server_error',
      'status_code_conformance',
      'content_type_conformance',
      'response_headers_conformance',
      'response_schema_conformance',
      'unsupported_method',
    ];
    const report = await run(gateway, 30, checks.join(), {
      '*': { key: 'key-of-segment' },
      locked: { key: 'key-of-locked' },
      device: { device: 'secret-of-devices' },
      signed: { github: 'secret-of-signed' },
      github: { github: 'secret-of-github' },
      slack: { slack: 'secret-of-slack' },
      hook: { key: 'key-of-hook' },
    });
    expect(report).toMatchObject({ complete: true, errors: [] });
    expect(report.operations.tested).toBe(report.operations.total);
    expect(report.test_cases.generated).toBeGreaterThanOrEqual(2000);
    const facts = await seen(gateway.postern);
    const sources = 'any reading types whole locked device signed limited pages segment github slack hook';
    for (const source of sources.split(' ')) expect(facts).toContain(`${source} accepted`);
    const others = ['any 204', 'reading 422', 'device 415', 'github 401', 'segment 400', 'unknown 405'];
    for (const fact of others) expect(facts).toContain(fact);
  });
});

describe('what the document says of events with a schema', () => {
  let gateway: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    gateway = await start(`sources:\n  reading: { topic: ${prefix}.strict, id: content, schema: reading }\n`);
    // Only the format that the schema describes, and only the body: the rest cannot be told right from wrong by a schema.
    const document = JSON.parse(await readFile(gateway.file, 'utf8')) as {
      paths: Record<string, { post: { parameters: { in: string }[]; requestBody: { content: object } } }>;
    };
    const path = '/events/{source}';
    const { post } = document.paths[path]!;
    const { content } = post.requestBody as { content: Record<string, { schema: { anyOf: object[] } }> };
    const json = content['application/json']!;
    json.schema.anyOf = [{ $ref: '#/components/schemas/event.reading' }];
    post.requestBody.content = { 'application/json': json };
    post.parameters = post.parameters.filter((parameter) => parameter.in === 'path');
    document.paths = { [path]: { post } };
    await writeFile(gateway.file, JSON.stringify(document));
  });
  afterAll(() => stop(gateway));

  it('is what the gateway takes, and what it refuses', { timeout: 400_000 }, async () => {
    const report = await run(gateway, 300, 'positive_data_acceptance,negative_data_rejection', {});
    expect(report).toMatchObject({ complete: true, errors: [] });
    expect(report.test_cases.generated).toBeGreaterThan(200);
    const facts = await seen(gateway.postern);
    expect([facts.has('reading accepted'), facts.has('reading rejected')]).toEqual([true, true]);
  });
});
