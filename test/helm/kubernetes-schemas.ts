import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';

const run = promisify(execFile);
const cache = join(import.meta.dirname, '../../.cache/kubernetes-schemas');

/** Go modules that carry the API's description, or custom resource definitions in a folder; with their checksums. */
const MODULES = [
  {
    module: 'k8s.io/kubernetes@v1.35.4',
    sum: 'h1:o/8dBC/pHVpYoGV4OAIytAlNPZbdYVTXJHoYvXC4qzM=',
    api: 'api/openapi-spec/swagger.json',
  },
  {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
    sum: 'h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=',
    crds: 'example/prometheus-operator-crd',
  },
  {
    module: 'github.com/kedacore/keda/v2@v2.21.0',
    sum: 'h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=',
    crds: 'config/crd/bases',
  },
  {
    module: 'sigs.k8s.io/gateway-api@v1.4.0',
    sum: 'h1:ZwlNM6zOHq0h3WUX2gfByPs2yAEsy/EenYJB78jpQfQ=',
    crds: 'config/crd/standard',
  },
];
/** In the cache's name, so that what an older version of this file made is not used. */
const FORMAT = 1;

type Schema = Record<string, unknown>;

/**
 * Makes JSON Schemas of Kubernetes' kinds and of the custom ones that the chart uses, and resolves with
 * kubeconform's `-schema-location`. Fields that are not listed are refused. What was made before is taken from the cache.
 */
export async function schemaLocation(): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([FORMAT, MODULES]));
  const folder = join(cache, hash.digest('hex').slice(0, 16));
  if (!existsSync(folder)) await make(folder);
  return join(folder, '{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json');
}

async function make(folder: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'make-'));
  for (const { module, sum, api, crds } of MODULES) {
    const source = await download(module, sum, work);
    if (api !== undefined) await writeApi(JSON.parse(await readFile(join(source, api), 'utf8')), work);
    if (crds === undefined) continue;
    for (const file of await readdir(join(source, crds))) {
      if (file.endsWith('.yaml')) await writeCrds(await readFile(join(source, crds, file), 'utf8'), work);
    }
  }
  // Renamed only when whole; whoever is first wins.
  await rename(work, folder).catch(async (error) => {
    await rm(work, { recursive: true });
    if (!existsSync(folder)) throw error;
  });
}

async function download(module: string, sum: string, cwd: string): Promise<string> {
  const { stdout } = await run('go', ['mod', 'download', '-json', module], {
    cwd,
    env: { ...process.env, GOFLAGS: '', GOWORK: 'off' },
  });
  const found = JSON.parse(stdout) as { Dir: string; Sum: string };
  if (found.Sum !== sum) throw new Error(`${module} is not what it was: ${found.Sum}`);
  return found.Dir;
}

async function writeApi(swagger: { definitions: Record<string, Schema> }, folder: string): Promise<void> {
  const definitions: Schema = {};
  for (const [name, schema] of Object.entries(swagger.definitions)) {
    definitions[name] = name.endsWith('.IntOrString')
      ? { type: ['string', 'integer'] }
      : name.endsWith('.resource.Quantity')
        ? { type: ['string', 'number'] }
        : strict(schema);
    const kinds = (schema['x-kubernetes-group-version-kind'] ?? []) as Record<string, string>[];
    for (const { group = '', version, kind } of kinds) {
      await write(folder, kind!, group, version!, { $ref: `api.json#/definitions/${name}` });
    }
  }
  await writeFile(join(folder, 'api.json'), JSON.stringify({ definitions }));
}

interface Crd {
  kind: string;
  spec: {
    group: string;
    names: { kind: string };
    versions: { name: string; schema: { openAPIV3Schema: Schema } }[];
  };
}

async function writeCrds(text: string, folder: string): Promise<void> {
  for (const document of parseAllDocuments(text, { logLevel: 'error' })) {
    const crd = document.toJS() as Crd | null;
    if (crd?.kind !== 'CustomResourceDefinition') continue;
    for (const { name, schema } of crd.spec.versions) {
      const root = strict(schema.openAPIV3Schema) as Schema;
      root.properties = {
        ...(root.properties as Schema),
        metadata: { $ref: 'api.json#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' },
      };
      await write(folder, crd.spec.names.kind, crd.spec.group, name, root);
    }
  }
}

/** Named as kubeconform asks: in the core group it takes the version for the group. */
function write(folder: string, kind: string, group: string, version: string, schema: Schema): Promise<void> {
  const file = `${kind.toLowerCase()}-${group || version}-${version}.json`;
  return writeFile(join(folder, file), JSON.stringify(schema));
}

/** Refuses what is not listed, as `kubectl --validate=strict` does. */
function strict(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(strict);
  if (typeof node !== 'object' || node === null) return node;
  const copy: Schema = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === '$ref') copy.$ref = (value as string).replace('#/', 'api.json#/');
    else if (key === 'properties') copy.properties = mapValues(value as Schema);
    else if (!['default', 'enum', 'example', 'required'].includes(key)) copy[key] = strict(value);
    else copy[key] = value;
  }
  if (copy['x-kubernetes-int-or-string'] === true) {
    delete copy.type;
    delete copy.format;
  }
  const open = copy['x-kubernetes-preserve-unknown-fields'] === true || 'additionalProperties' in copy;
  if (copy.properties !== undefined && !open) copy.additionalProperties = false;
  return copy;
}

function mapValues(properties: Schema): Schema {
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, strict(schema)]));
}
