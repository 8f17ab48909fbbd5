import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { CHART, FULL, helmProgram, renderText } from './chart.ts';
import { valuesShape } from './values-shape.ts';

const SCHEMA = join(CHART, 'values.schema.json');
const ROOT = join(CHART, '..');

/** What helm says when it refuses these values. */
async function refusal(values: object): Promise<string> {
  const error = await renderText(values).catch((failed: { stderr: string }) => failed);
  if (typeof error === 'string') throw new Error('the values were taken');
  return error.stderr;
}

// After a change: UPDATE=1 npx vitest run test/helm/values.test.ts && npx biome format --write helm/values.schema.json
test('values.schema.json is what the code says', () => {
  const now = JSON.parse(JSON.stringify(valuesShape()));
  if (process.env.UPDATE) writeFileSync(SCHEMA, JSON.stringify(now, null, 2));
  expect(JSON.parse(readFileSync(SCHEMA, 'utf8'))).toEqual(now);
});

test('values.yaml names every value of the schema', () => {
  const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'));
  const missing = (shape: object, value: unknown, path: string): string[] => {
    const { properties } = shape as { properties?: Record<string, object> };
    if (properties === undefined || /^\.(config|global|.*\.resources)$/.test(path)) return [];
    return Object.entries(properties).flatMap(([name, inner]) => {
      const here = `${path}.${name}`;
      if (here === '.global') return [];
      const given = (value as Record<string, unknown> | undefined)?.[name];
      return given === undefined ? [here] : missing(inner, given, here);
    });
  };
  expect(missing(valuesShape(), values, '')).toEqual([]);
});

test('helm lint finds nothing to say', async () => {
  const { stdout, stderr } = await promisify(execFile)(await helmProgram(), ['lint', '--strict', CHART]);
  expect(stderr).toBe('');
  expect(stdout).not.toMatch(/\[(INFO|WARNING|ERROR)\]/);
  expect(stdout).toContain('1 chart(s) linted, 0 chart(s) failed');
});

test.each([
  [{ replicaCount: 2 }, "additional properties 'replicaCount' not allowed"],
  [{ gateway: { replica: 2 } }, "at '/gateway': additional properties 'replica' not allowed"],
  [{ gateway: { replicas: 'two' } }, "at '/gateway/replicas': got string, want integer"],
  [{ dispatcher: { autoscaling: { lag: { treshold: 1 } } } }, "at '/dispatcher/autoscaling/lag': additional"],
  [{ service: { type: 'External' } }, "at '/service/type': value must be one of"],
  [{ service: { port: 0 } }, "at '/service/port': minimum"],
  [{ ingress: { host: 'a.example' } }, "at '/ingress': additional properties 'host' not allowed"],
  [{ image: { digest: 'abc' } }, "at '/image/digest'"],
  [{ config: { sorces: {} } }, "at '/config': additional properties 'sorces' not allowed"],
  [{ config: { sources: { web: { topics: ['a'] } } } }, "at '/config/sources/web': missing property 'topic'"],
  [{ config: { log: { kafka: { broker: 'k:9092' } } } }, "additional properties 'broker' not allowed"],
  [{ config: { dedupe: { window: '1 day' } } }, "at '/config/dedupe/window'"],
  [{ config: { grace: '10s' } }, "at '/config': additional properties 'grace' not allowed"],
  [
    { config: { admin: { listen: '0.0.0.0:80' } } },
    "at '/config/admin': additional properties 'listen' not allowed",
  ],
])('%j is refused by its name', async (values, message) => {
  expect(await refusal(values)).toContain(message);
});

test('C68 the time until the kill is no value: it cannot be shorter than what the process takes', async () => {
  expect(await refusal({ terminationGracePeriodSeconds: 1 })).toContain(
    "additional properties 'terminationGracePeriodSeconds' not allowed",
  );
  expect(await refusal({ gateway: { terminationGracePeriodSeconds: 1 } })).toContain("at '/gateway'");
  expect(await refusal({ shutdown: { grace: 0 } })).toContain("at '/shutdown/grace': minimum");
  expect(await refusal({ shutdown: { preStop: -1 } })).toContain("at '/shutdown/preStop': minimum");
});

test('what only fits together is refused with the missing key', async () => {
  const { log, sources } = FULL.config;
  expect(await refusal({ config: { log, sources } })).toContain('config.dedupe.redis is needed');
  expect(await refusal({ config: { log, dedupe: FULL.config.dedupe } })).toContain(
    'config.sources must name',
  );
  expect(await refusal({ httpRoute: { enabled: true } })).toContain(
    'httpRoute.parentRefs must name a Gateway',
  );
  expect(await refusal({ serviceMonitor: { enabled: true } })).toContain(
    'networkPolicy.metricsFrom allows nobody to reach the metrics',
  );
});

test('the chart has the versions and the sample schema of the program', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const chart = parse(readFileSync(join(CHART, 'Chart.yaml'), 'utf8'));
  expect([chart.version, chart.appVersion]).toEqual([version, version]);
  expect(readFileSync(join(ROOT, 'Dockerfile'), 'utf8')).toContain(`ARG VERSION=${version}\n`);
  const sample = 'sensor-reading.json';
  expect(readFileSync(join(CHART, 'files', sample), 'utf8')).toBe(
    readFileSync(join(ROOT, 'schemas', sample), 'utf8'),
  );
  expect(existsSync(join(CHART, 'files/trial.yaml'))).toBe(true);
});
