import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runPostern } from '../e2e/postern.ts';
import { buildGo } from '../services/go.ts';
import { promtool } from '../services/prometheus.ts';

interface Mount {
  type: string;
  source: string;
  target: string;
}

interface Project {
  services: Record<
    string,
    {
      image: string;
      command: string[] | null;
      configs?: { source: string; target: string }[];
      volumes?: Mount[];
      ports?: { host_ip: string; published: string }[];
    }
  >;
  configs: Record<string, { content: string }>;
}

const ROOT = join(import.meta.dirname, '..', '..');
let folder: string;
let project: Project;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-compose-'));
  const program = await buildGo('compose-config');
  const { stdout } = await promisify(execFile)(program, [join(ROOT, 'compose.yaml')]);
  project = JSON.parse(stdout) as Project;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const mounts = () => Object.values(project.services).flatMap(({ volumes }) => volumes ?? []);
const content = (name: string) => project.configs[name]!.content;

test('compose.yaml is what Compose takes: all services, nothing open to the network', () => {
  expect(Object.keys(project.services).sort()).toEqual([
    'dispatcher',
    'function',
    'gateway',
    'grafana',
    'kafka',
    'prometheus',
    'redis',
  ]);
  const ports = Object.values(project.services).flatMap((service) => service.ports ?? []);
  expect(ports.map(({ published }) => published).sort()).toEqual(['29092', '3000', '8080', '8081', '9090']);
  expect(new Set(ports.map(({ host_ip }) => host_ip))).toEqual(new Set(['127.0.0.1']));
  const sources = mounts().filter(({ type }) => type === 'bind');
  expect(sources.length).toBeGreaterThan(2);
  expect(sources.filter(({ source }) => !existsSync(join(ROOT, source)))).toEqual([]);
});

test('Kafka is the version that the tests run', async () => {
  const version = /VERSION = '(.+)'/.exec(await readFile(join(ROOT, 'test/services/kafka.ts'), 'utf8'))?.[1];
  expect(project.services.kafka?.image).toBe(`apache/kafka:${version}`);
});

test('postern check finds no fault with the config, which names the other services', async () => {
  const { command, configs, volumes } = project.services.gateway!;
  const [config] = configs!;
  expect(command).toEqual(['serve', '--role', 'gateway', '--config', config!.target]);
  const schemas = volumes!.find(({ target }) => target === '/etc/postern/schemas')!;
  const text = content(config!.source);
  const file = join(folder, 'postern.yaml');
  await writeFile(file, text.replace(schemas.target, join(ROOT, schemas.source)));
  const { code, output } = await runPostern(['check', '--config', file]);
  expect([code, output]).toEqual([0, expect.not.stringMatching(/^error/m)]);
  // Its ports are published on loopback, so anybody may send, and the token is one that all know; it has no other warnings.
  const warnings = [...output.matchAll(/^warning \S+ (\S+):/gm)].map((match) => match[1]!);
  const laptop = ['/sources/web', '/sources/sensors', '/admin/tokens/operate/0'];
  expect(warnings.filter((pointer) => !laptop.includes(pointer))).toEqual([]);
  const hosts = [...text.matchAll(/([a-z]+):\d{4}/g)].map((match) => match[1]!);
  const own = ['kafka', 'redis', 'function'];
  expect(hosts.filter((host) => !own.includes(host))).toEqual([]);
});

test('promtool finds no fault with the config of Prometheus', async () => {
  const file = join(folder, 'prometheus.yml');
  const rules = project.services.prometheus!.volumes!.find(({ type }) => type === 'bind')!;
  expect(content('prometheus')).toContain(`[${rules.target}]`);
  await writeFile(file, content('prometheus').replace(rules.target, join(ROOT, rules.source)));
  expect(await promtool(['check', 'config', file])).toMatchObject({
    code: 0,
    output: expect.stringMatching(/SUCCESS: \d+ rules found/),
  });
});

test('Grafana finds Prometheus and both dashboards', () => {
  const { datasources } = parse(content('grafana-datasources')) as {
    datasources: { url: string; type: string }[];
  };
  expect(datasources).toMatchObject([{ type: 'prometheus', url: 'http://prometheus:9090' }]);
  const { providers } = parse(content('grafana-dashboards')) as {
    providers: { options: { path: string } }[];
  };
  const mount = mounts().find(({ target }) => target === providers[0]?.options.path);
  for (const name of ['gateway', 'dispatcher'])
    expect(existsSync(join(ROOT, mount!.source, `${name}.json`))).toBe(true);
});

test('the function answers', async () => {
  const file = join(folder, 'function.mjs');
  const listening = `.listen(8082, '0.0.0.0')`;
  expect(content('function')).toContain(listening);
  const free = content('function').replace(listening, ".listen(0, '127.0.0.1').once('listening', started)");
  await writeFile(file, `${free}\nfunction started() { console.log(this.address().port); }\n`);
  const child = execFile(process.execPath, [file]);
  try {
    const [port] = (await once(child.stdout!, 'data')) as [string];
    const printed = once(child.stdout!, 'data');
    const reply = await fetch(`http://127.0.0.1:${port.trim()}/`, {
      method: 'POST',
      body: '{"n":1}\u001b[2J\nforged',
      headers: { 'ce-type': 'page.view', 'ce-id': 'e-1' },
    });
    expect(reply.status).toBe(204);
    expect(await printed).toEqual(['page.view e-1 {"n":1}\\u001b[2J\\u000aforged\n']);
  } finally {
    child.kill();
    await once(child, 'exit');
  }
});
