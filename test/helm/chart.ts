import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { buildGo } from '../services/go.ts';

const run = promisify(execFile);

export const CHART = join(import.meta.dirname, '../../helm');
/** Of the cluster that charts are rendered for; one that the rig runs. */
const KUBERNETES = '1.35.4';

/** A rendered object of Kubernetes, as far as the tests look into it. */
// biome-ignore lint/suspicious/noExplicitAny: its shape is what the tests are about
export type Manifest = { kind: string; metadata: { name: string; [key: string]: any }; [key: string]: any };

export interface RenderOptions {
  /** What the cluster knows besides its own, such as keda.sh/v1alpha1. */
  apis?: string[];
  release?: string;
}

/** Path of the helm program; the first call of a machine builds it with Go. */
export function helmProgram(): Promise<string> {
  return buildGo('helm', { package: 'helm.sh/helm/v3/cmd/helm' });
}

/** Path of the kubeconform program; the first call of a machine builds it with Go. */
export function kubeconformProgram(): Promise<string> {
  return buildGo('kubeconform', { package: 'github.com/yannh/kubeconform/cmd/kubeconform' });
}

/** The YAML that `helm template` prints for these values. Rejects with what helm says when it refuses them. */
export async function renderText(values: object, options: RenderOptions = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-helm-'));
  try {
    const file = join(folder, 'values.json');
    await writeFile(file, JSON.stringify(values));
    const apis = (options.apis ?? []).flatMap((name) => ['--api-versions', name]);
    const args = ['template', options.release ?? 'postern', CHART, '--kube-version', KUBERNETES, '-f', file];
    const { stdout } = await run(await helmProgram(), [...args, ...apis], { maxBuffer: 16 * 1024 * 1024 });
    return stdout;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The objects of a rendering. Throws when a text is not YAML. */
function objectsOf(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0];
    const value = document.toJS();
    return value === null ? [] : [value];
  });
}

/** What the chart makes of these values. */
export async function render(values: object, options: RenderOptions = {}): Promise<Manifest[]> {
  return objectsOf(await renderText(values, options));
}

/** The only object of a kind, or of a kind and name. */
export function the(objects: Manifest[], kind: string, name?: string): Manifest {
  const found = objects.filter(
    (one) => one.kind === kind && (name ?? one.metadata.name) === one.metadata.name,
  );
  if (found.length !== 1) throw new Error(`there are ${found.length} of ${kind} ${name ?? ''}`);
  return found[0]!;
}

/** Values of an installation on Kafka and Redis. */
export const FULL = {
  config: {
    log: { kafka: { brokers: ['kafka:9092'] } },
    dedupe: { redis: { url: '${REDIS_URL}' } },
    sources: { web: { topic: 'clickstream', schema: 'page-view' } },
    subscriptions: {
      late: { topics: ['clickstream'], from: 'latest', function: { http: { url: 'http://fn/' } } },
    },
    streams: {
      rate: {
        topics: ['clickstream'],
        window: { tumbling: '1m' },
        aggregate: { n: 'count()' },
        emit: { topic: 'rates', type: 'rate' },
      },
    },
  },
  schemas: { 'page-view': { type: 'object' }, 'v2/page-view': '{"type":"object"}' },
  env: [{ name: 'REDIS_URL', valueFrom: { secretKeyRef: { name: 'redis', key: 'url' } } }],
} as const;
