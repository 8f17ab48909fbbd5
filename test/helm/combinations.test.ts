import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { CHART, FULL, kubeconformProgram, type RenderOptions, renderText } from './chart.ts';
import { schemaLocation } from './kubernetes-schemas.ts';

/** A switch: its positions by name, each with the values that it sets (dots lead inwards). */
type Switch = Record<string, Record<string, unknown>>;

const KEDA = 'keda.sh/v1alpha1';

/** These decide together what workloads there are. */
const WORKLOADS: Record<string, Switch> = {
  stores: {
    trial: {},
    embedded: { 'config.sources': { own: { topic: 'own' } } },
    kafka: FULL,
    existing: { existingConfig: 'mine' },
  },
  volume: { none: {}, volume: { 'gateway.volume.enabled': true } },
  gateway: { fixed: {}, scaled: { 'gateway.autoscaling.enabled': true } },
  dispatcher: {
    none: { 'dispatcher.enabled': false },
    fixed: {},
    cpu: { 'dispatcher.autoscaling.enabled': true, 'dispatcher.autoscaling.lag.enabled': false },
    'lag without KEDA': { 'dispatcher.autoscaling.enabled': true },
    lag: { 'dispatcher.autoscaling.enabled': true, 'dispatcher.autoscaling.minReplicas': 0, apis: [KEDA] },
  },
  schemas: { own: {}, existing: { existingSchemas: 'mine' } },
  budgets: {
    with: {},
    without: {
      ...{ 'gateway.disruptionBudget': false, 'dispatcher.disruptionBudget': false },
      ...{ 'gateway.topologySpread': '', 'dispatcher.topologySpread': '' },
    },
  },
};

/** These have templates of their own, which look at nothing else. */
const AROUND: Record<string, Switch> = {
  ingress: {
    none: {},
    ingress: { 'ingress.enabled': true },
    hosts: {
      ...{
        'ingress.enabled': true,
        'ingress.className': 'nginx',
        'ingress.hosts': ['a.example', 'b.example'],
      },
      ...{ 'ingress.annotations': { a: 'b' }, 'ingress.tls': [{ secretName: 's', hosts: ['a.example'] }] },
    },
  },
  route: {
    none: {},
    route: {
      'httpRoute.enabled': true,
      'httpRoute.parentRefs': [{ name: 'edge' }],
      'httpRoute.hostnames': ['a.example'],
    },
  },
  network: {
    none: { 'networkPolicy.enabled': false },
    open: { 'networkPolicy.metricsFrom': [{ namespaceSelector: {} }] },
    closed: {
      'networkPolicy.from': [{ podSelector: { matchLabels: { a: 'b' } } }],
      'networkPolicy.metricsFrom': [{ namespaceSelector: { matchLabels: { a: 'b' } } }],
      'networkPolicy.egress': [{ ports: [{ port: 9092, protocol: 'TCP' }] }],
    },
  },
  monitor: {
    none: {},
    monitor: { 'serviceMonitor.enabled': true, 'serviceMonitor.labels': { release: 'p' } },
  },
  rules: { none: {}, rules: { 'prometheusRule.enabled': true, 'prometheusRule.labels': { release: 'p' } } },
  dashboards: {
    none: {},
    dashboards: { 'dashboards.enabled': true, 'dashboards.annotations': { folder: 'p' } },
  },
  account: {
    created: { 'serviceAccount.annotations': { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/p' } },
    existing: { 'serviceAccount.create': false, 'serviceAccount.name': 'mine' },
  },
};
const AROUND_FILES = ['routes.yaml', 'networkpolicy.yaml', 'monitoring.yaml', 'serviceaccount.yaml'];

interface Combination {
  name: string;
  values: Record<string, unknown>;
  options: RenderOptions;
}

/** Every combination of the switches' positions. */
function combinationsOf(switches: Record<string, Switch>): Combination[] {
  let all: { name: string; set: Record<string, unknown> }[] = [{ name: '', set: {} }];
  for (const [name, positions] of Object.entries(switches)) {
    all = all.flatMap((before) =>
      Object.entries(positions).map(([position, set]) => ({
        name: `${before.name} ${name}:${position}`.trim(),
        set: { ...before.set, ...set },
      })),
    );
  }
  return all.map(({ name, set: { apis, ...set } }) => ({
    name,
    values: nested(set),
    options: apis === undefined ? {} : { apis: apis as string[] },
  }));
}

function nested(set: Record<string, unknown>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(set)) {
    let node = values;
    const names = path.split('.');
    for (const name of names.slice(0, -1)) {
      node[name] ??= {};
      node = node[name] as Record<string, unknown>;
    }
    node[names.at(-1)!] = value;
  }
  return values;
}

const folder = mkdtempSync(join(tmpdir(), 'postern-manifests-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Renders all; each different object is checked once. Resolves with kubeconform's complaints and how much there was. */
async function check(combinations: Combination[]) {
  const seen = new Map<string, string>();
  const names = new Set<string>();
  let next = 0;
  const worker = async () => {
    for (let one = combinations[next++]; one !== undefined; one = combinations[next++]) {
      const text = await renderText(one.values, one.options);
      const own = new Set<string>();
      // Another token each time makes no other object.
      for (const document of text.replace(/^( {2}token: ).+$/m, '$1QQ==').split(/^---$/m)) {
        if (!/^kind:/m.test(document)) continue;
        const id = `${/^kind: (.*)$/m.exec(document)![1]} ${/^ {2}name: (.*)$/m.exec(document)![1]}`;
        if (own.has(id)) throw new Error(`${one.name}: ${id} is there twice`);
        own.add(id);
        names.add(id);
        const hash = createHash('sha256').update(document).digest('hex');
        if (!seen.has(hash)) writeFileSync(join(folder, `${hash}.yaml`), document);
        seen.set(hash, one.name);
      }
    }
  };
  await Promise.all([worker(), worker(), worker()]);
  return {
    names,
    found: await conform(
      [...seen.keys()].map((hash) => join(folder, `${hash}.yaml`)),
      seen,
    ),
  };
}

/** kubeconform's complaints of these files. */
async function conform(files: string[], combination: Map<string, string>): Promise<string[]> {
  const program = await kubeconformProgram();
  const args = [
    '-strict',
    '-output',
    'json',
    '-summary',
    '-schema-location',
    await schemaLocation(),
    ...files,
  ];
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 64 * 1024 * 1024 }).catch(
    (error: { stdout: string }) => error,
  );
  const { resources, summary } = JSON.parse(stdout) as {
    resources: { filename: string; kind: string; msg: string }[];
    summary: { valid: number };
  };
  expect(summary.valid + resources.length).toBe(files.length);
  return resources.map(({ filename, kind, msg }) => {
    const hash = /([0-9a-f]+)\.yaml$/.exec(filename)?.[1] ?? '';
    return `${kind}: ${msg} (${combination.get(hash)})`;
  });
}

test('every combination of what decides about the workloads makes valid objects', async () => {
  const combinations = combinationsOf(WORKLOADS);
  expect(combinations).toHaveLength(4 * 2 * 2 * 5 * 2 * 2);
  const { names, found } = await check(combinations);
  expect(found).toEqual([]);
  for (const name of ['config', 'admin']) expect(names).toContain(`Secret postern-${name}`);
  for (const kind of ['Deployment', 'StatefulSet', 'HorizontalPodAutoscaler', 'PodDisruptionBudget']) {
    expect(names).toContain(`${kind} postern-gateway`);
  }
  for (const kind of ['Deployment', 'HorizontalPodAutoscaler', 'PodDisruptionBudget', 'ScaledObject']) {
    expect(names).toContain(`${kind} postern-dispatcher`);
  }
});

test('every combination of what is around them makes valid objects', async () => {
  const { names, found } = await check(combinationsOf(AROUND));
  expect(found).toEqual([]);
  for (const kind of ['Ingress', 'HTTPRoute', 'NetworkPolicy', 'ServiceMonitor', 'ServiceAccount']) {
    expect(names).toContain(`${kind} postern`);
  }
});

test('the two lists may be apart: what is around the workloads is in templates that look at nothing else', () => {
  const around = new Set(
    Object.values(AROUND).flatMap((positions) =>
      Object.values(positions).flatMap((set) => Object.keys(set).map((path) => path.split('.')[0])),
    ),
  );
  for (const file of AROUND_FILES) {
    const text = readFileSync(join(CHART, 'templates', file), 'utf8');
    const used = [...text.matchAll(/\.Values\.(\w+)/g)].map((match) => match[1]!);
    expect(used.filter((name) => !around.has(name) && name !== 'service')).toEqual([]);
    expect(text).not.toMatch(/include "postern\.(trial|sample|stateful|dispatcher|keda|config|pod)"/);
  }
});

test('the check itself refuses a field that does not exist and a kind that nobody knows', async () => {
  const files = [
    'apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec: { port: 80 }\n',
    'apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: { name: a }\nspec: { scaleTargetRef: { name: a }, triggers: [{ type: kafka, metadata: { lagThreshold: 5 } }] }\n',
    'apiVersion: example.com/v1\nkind: Unknown\nmetadata: { name: a }\n',
  ].map((text, index) => {
    const file = join(folder, `wrong-${index}.yaml`);
    writeFileSync(file, text);
    return file;
  });
  const found = await conform(files, new Map());
  expect(found.sort()).toEqual([
    expect.stringMatching(/^ScaledObject: .*lagThreshold/s),
    expect.stringMatching(/^Service: .*additional properties 'port' not allowed/s),
    expect.stringMatching(/^Unknown: could not find schema/),
  ]);
});
