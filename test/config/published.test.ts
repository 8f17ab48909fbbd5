import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { publishedShape } from './published-shape.ts';

const FILE = join(import.meta.dirname, '../..', 'postern.schema.json');

// After a change: UPDATE=1 npx vitest run test/config/published.test.ts && npx biome format --write postern.schema.json
test('postern.schema.json is what the code says', () => {
  const now = JSON.parse(JSON.stringify(publishedShape()));
  if (process.env.UPDATE) writeFileSync(FILE, JSON.stringify(now, null, 2));
  expect(JSON.parse(readFileSync(FILE, 'utf8'))).toEqual(now);
});

test('an editor takes the sample, variables for any scalar, and marks mistakes', () => {
  const validate = new Ajv({ allowUnionTypes: true, allErrors: true }).compile(publishedShape());
  const problems = (text: string) => {
    validate(parse(text));
    return (validate.errors ?? []).map((error) => `${error.instancePath} ${error.keyword}`);
  };
  expect(problems(readFileSync(join(FILE, '..', 'postern.yaml'), 'utf8'))).toEqual([]);
  const variables = `
gateway: { limits: { batch: '\${N}', body: '\${B:-1MiB}' }, cors: { credentials: '\${C}' } }
log: { kafka: { brokers: ['\${K}'], create: '\${CREATE}' } }
dedupe: { redis: { url: '\${R}' }, outage: '\${O}' }`;
  expect(problems(variables)).toEqual([]);
  expect(problems('log: { embedded: {}, timeout: 10 }\ndedupe: { outage: no }\nsorces: {}')).toEqual([
    ' additionalProperties',
    '/log/timeout type',
    '/dedupe/outage enum',
    '/dedupe/outage pattern',
    '/dedupe/outage anyOf',
  ]);
});
