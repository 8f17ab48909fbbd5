import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build, type Plugin } from 'esbuild';
import { parse } from 'yaml';
import { webPlatform } from '../src/adapters/runtime/web-platform.ts';
import { type BoundSecret, edgeConfig } from '../src/app/edge-config.ts';
import type { Config } from '../src/config/config.ts';
import { examineConfig } from '../src/config/read.ts';
import { formatProblem } from '../src/core/problem.ts';
import { guardSources } from '../src/gateway/admission/admit.ts';
import { makeOpenApiPage } from '../src/gateway/openapi/page.ts';
import { makeRoutes } from '../src/gateway/routes.ts';
import { type Precompilation, precompileSchemas } from '../src/schema/edge/precompile.ts';
import { readSchemaFiles } from '../src/schema/load.ts';
import type { PlainSchemas } from '../src/schema/registry.ts';

const ROOT = join(import.meta.dirname, '..');
const SRC = join(ROOT, 'src');
/** Takes the place of unknown secrets in the checks of the config. It is valid as a key and as base64 of 32 bytes. */
const STAND_IN = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';

/** cborg's encoder makes tables when it is loaded. So esbuild would keep it, though nothing here encodes CBOR. */
const leaveOutEncoder: Plugin = {
  name: 'leave-out-encoder',
  setup({ onResolve }) {
    onResolve({ filter: /\/encode\.js$/ }, ({ path, resolveDir }) =>
      resolveDir.includes('cborg') ? { path: join(resolveDir, path), sideEffects: false } : undefined,
    );
  },
};

/** Builds the edge bundle of a config: worker.js, and the configuration of workerd and of Workers. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string', default: join(ROOT, 'postern.yaml') },
      out: { type: 'string', default: join(ROOT, 'dist', 'edge') },
    },
  });
  const text = readFileSync(values.config, 'utf8');
  const secrets = secretsOf(parse(text));
  const config = readEdge(text, values.config, secrets);
  const precompiled = precompileSchemas(
    await readSchemaFiles(resolve(dirname(values.config), config.schemas)),
  );
  for (const problem of precompiled.problems) process.stderr.write(`${formatProblem(problem)}\n`);
  if (precompiled.problems.some(({ level }) => level === 'error')) throw new Error('schemas have errors');
  warnOfPlainSecrets(config, secrets);
  const code = workerCode(config, secrets, precompiled);
  mkdirSync(values.out, { recursive: true });
  const { metafile } = await build({
    stdin: { contents: code, resolveDir: SRC, sourcefile: 'worker.ts', loader: 'ts' },
    outfile: join(values.out, 'worker.js'),
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['workerd', 'worker', 'import'],
    target: 'es2024',
    legalComments: 'none',
    metafile: true,
    plugins: [leaveOutEncoder],
  });
  writeFileSync(join(values.out, 'meta.json'), JSON.stringify(metafile));
  const names = [...new Set(secrets.flatMap(({ text }) => namesIn(text)))];
  writeFileSync(join(values.out, 'worker.capnp'), capnp(names));
  writeFileSync(join(values.out, 'wrangler.toml'), toml(names));
  const bytes = Object.values(metafile.outputs)[0]!.bytes;
  process.stdout.write(`${join(values.out, 'worker.js')}: ${(bytes / 1000).toFixed(1)} kB\n`);
}

/** The config. Throws when the parts that go into a bundle have errors; stores and functions belong to the origin. */
function readEdge(text: string, file: string, secrets: BoundSecret[]): Config {
  const standIns = Object.fromEntries(
    secrets.flatMap(({ text }) => namesIn(text)).map((name) => [name, STAND_IN]),
  );
  const readFile = () => {
    throw new Error('a bundle has no files; write ${NAME} and bind the secret to that name');
  };
  const { config, findings } = examineConfig(text, { ...process.env, ...standIns }, { file, readFile });
  const problems = findings
    .sorted()
    .filter(
      ({ level, pointer }) =>
        level === 'error' && /^(?:\/(?:gateway|sources|schemas|log\/timeout)\b|$)/.test(pointer),
    )
    // All stand-ins are equal.
    .filter(({ message }) => !/^is a key of .* already$/.test(message));
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`);
  if (config === null || problems.length > 0) throw new Error('the config has errors');
  return config;
}

interface RawSource {
  keys?: (string | { key: string })[];
  verify?: { secrets: string[] };
}

/** Secrets that the config takes from the environment. */
function secretsOf(document: { sources?: Record<string, RawSource> }): BoundSecret[] {
  return Object.entries(document.sources ?? {}).flatMap(([source, { keys = [], verify }]) => [
    ...boundIn(
      source,
      'keys',
      keys.map((item) => (typeof item === 'string' ? item : item.key)),
    ),
    ...boundIn(source, 'verify', verify?.secrets ?? []),
  ]);
}

function boundIn(source: string, kind: BoundSecret['kind'], texts: string[]): BoundSecret[] {
  return texts.flatMap((text, index) => (text.includes('${') ? [{ source, kind, index, text }] : []));
}

function namesIn(text: string): string[] {
  return [...text.matchAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)/g)].map(([, name]) => name!);
}

function warnOfPlainSecrets(config: Config, secrets: BoundSecret[]): void {
  const bound = secrets.map(({ source, kind }) => `${source} ${kind}`);
  for (const { name, keys, verify } of config.sources.values()) {
    const isBound = (kind: string, count: number) =>
      bound.filter((one) => one === `${name} ${kind}`).length === count;
    if (!isBound('keys', keys.length) || !isBound('verify', verify?.secrets.length ?? 0))
      process.stderr.write(
        `source ${name}: the bundle holds a secret that is written in the config; write \${NAME} and bind it\n`,
      );
  }
}

function workerCode(config: Config, secrets: BoundSecret[], precompiled: Precompilation): string {
  const parts = JSON.stringify(edgeConfig(config, secrets));
  const plain = plainOf(config, precompiled);
  return [
    "import { makeWorker } from '../src/edge.ts';",
    "import { precompiledSet } from '../src/schema/edge/precompiled.ts';",
    `const config = JSON.parse(${JSON.stringify(parts)});`,
    `const schemas = precompiledSet(${precompiled.code(plain)});`,
    'export default makeWorker(config, schemas);',
  ].join('\n');
}

/** The schemas that the OpenAPI document shows. */
function plainOf(config: Config, { set }: Precompilation): PlainSchemas {
  let plain: PlainSchemas = { keys: new Map(), schemas: new Map() };
  const watched = {
    ...set,
    plain(names: readonly string[]) {
      plain = set.plain(names);
      return plain;
    },
  };
  const platform = webPlatform();
  const routes = makeRoutes(guardSources(config, platform), platform);
  makeOpenApiPage(routes, config, () => watched, platform)(undefined);
  return plain;
}

const capnp = (names: string[]) => `# Runs the bundle in workerd: workerd serve worker.capnp
# workerd takes secrets from its environment.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .postern),
    # fetch() may use private addresses, as the origin may be in the same network.
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true)))
  ],
  sockets = [(name = "http", address = "*:8080", http = (), service = "main")]
);

const postern :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-01-01",
  bindings = [
    (name = "EDGE_ORIGIN", fromEnvironment = "EDGE_ORIGIN"),
    (name = "EDGE_REJECTED", fromEnvironment = "EDGE_REJECTED"),
    (name = "EDGE_ADDRESS_HEADER", fromEnvironment = "EDGE_ADDRESS_HEADER"),
${names.map((name) => `    (name = "${name}", fromEnvironment = "${name}"),\n`).join('')}  ]
);
`;

const toml = (names: string[]) => `# For wrangler deploy. Secrets: wrangler secret put NAME
name = "postern-edge"
main = "worker.js"
no_bundle = true
compatibility_date = "2026-01-01"

[vars]
EDGE_ORIGIN = "https://postern.example"
EDGE_REJECTED = "refuse"
EDGE_ADDRESS_HEADER = "cf-connecting-ip"
${names.length === 0 ? '' : `\n# Secrets: ${names.join(', ')}\n`}`;

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
});
