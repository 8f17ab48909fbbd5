import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../services/free-port.ts';
import { MAIN, makeProject, runPostern, startPostern } from './postern.ts';

const SECRET = 'S3cr3t-0f-The-House';
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-secrets-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function configOf(text: string): Promise<string> {
  const file = join(folder, 'postern.yaml');
  await writeFile(file, text);
  return file;
}

const STORES = 'log: { embedded: {} }\ndedupe: { embedded: {} }\n';
const MISPLACED = [
  `${STORES}sources: { s: { topic: t, keys: ${SECRET} } }`,
  `${STORES}sources: { s: { topic: t, key: ${SECRET}, verify: ${SECRET}, jwt: ${SECRET} } }`,
  `${STORES}sources: { s: { topic: t, verify: { scheme: hmac, secrets: ${SECRET} } } }`,
  `log: { kafka: { brokers: ['k:1'], sasl: 'user:${SECRET}' } }\ndedupe: { redis: 'redis://:${SECRET}@h' }`,
  `log: { kafka: { brokers: ['k:1'], sasl: { mechanism: plain, username: u, password: !${SECRET} } } }`,
  `${STORES}subscriptions: { f: { topics: [t], function: { http: { url: 'https://f', headers: 'authorization: ${SECRET}', sign: '${SECRET}', auth: ${SECRET} } } } }`,
];

test('neither check nor serve prints a secret that stands in the wrong place', async () => {
  for (const text of MISPLACED) {
    const file = await configOf(text);
    for (const command of ['check', 'serve']) {
      const { code, output } = await runPostern([command, '--config', file]);
      expect([text, code]).toEqual([text, command === 'check' ? 1 : 2]);
      expect([text, output]).toEqual([text, expect.stringMatching(/^error /m)]);
      expect([text, output.includes(SECRET)]).toEqual([text, false]);
    }
  }
});

test('stores and issuers that cannot be reached are told of without their passwords', async () => {
  const [kafka, redis, admin] = await Promise.all([freePort(), freePort(), freePort()]);
  const file = await configOf(`
gateway: { listen: '127.0.0.1:0' }
admin: { listen: '127.0.0.1:${admin}' }
log: { kafka: { brokers: ['127.0.0.1:${kafka}'], sasl: { mechanism: plain, username: u, password: ${SECRET} } } }
dedupe: { redis: { url: 'redis://:${SECRET}@127.0.0.1:${redis}' } }
schemas: .
logLevel: trace
sources:
  s: { topic: t, keys: [${SECRET}-1], jwt: { jwks: 'http://u:${SECRET}@127.0.0.1:1/keys' } }
subscriptions:
  f: { topics: [t], function: { http: { url: 'http://127.0.0.1:1/', auth: { bearer: ${SECRET}-2 } } } }
`);
  const child = spawn(process.execPath, [MAIN, 'serve', '--config', file], { cwd: folder });
  let output = '';
  const exited = once(child, 'exit');
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
  try {
    await expect.poll(() => output).toContain('"msg":"ready"');
    await expect.poll(() => output).toMatch(/ECONNREFUSED/);
    const readyz = await fetch(`http://127.0.0.1:${admin}/readyz`);
    output += await readyz.text();
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
  expect(output).toContain('has no audience');
  expect(output).not.toContain(SECRET);
});

test('check --production fails on what is fit for a trial only, and says what to do', async () => {
  const file = await configOf(`${STORES}schemas: .\nsources: { s: { topic: t, keys: [short] } }`);
  const line = `${file}:4 /sources/s/keys/0: has 5 bytes and can be guessed; use 16 random bytes or more`;
  expect(await runPostern(['check', '--config', file])).toEqual({
    code: 0,
    output: `warning ${line}\n${file} is good\n`,
  });
  expect(await runPostern(['check', '--production', '--config', file])).toEqual({
    code: 1,
    output: `error ${line}\n1 error\n`,
  });
});

test('dev takes events where --listen says, and keeps its files to their owner', async () => {
  const project = await makeProject({ yaml: STORES.replaceAll('{}', "{ path: '{folder}/data' }") });
  const port = await freePort();
  const postern = await startPostern(project, { command: ['dev', '--listen', `127.0.0.1:${port}`] });
  try {
    expect((await fetch(`http://127.0.0.1:${port}/openapi.json`)).status).toBe(200);
    expect(postern.output()).toContain(`"listen":"127.0.0.1","ingest":${port}`);
    expect(await isRefused('127.0.0.1', project.port)).toBe(true);
    const other = Object.values(networkInterfaces()).flatMap((all) =>
      (all ?? []).filter(({ family, internal }) => family === 'IPv4' && !internal),
    )[0];
    if (other !== undefined) expect(await isRefused(other.address, port)).toBe(true);
    const data = join(project.folder, 'data');
    const files = await readdir(data);
    expect(files).toEqual(expect.arrayContaining(['log.db', 'dedupe.db']));
    const modes = await Promise.all(
      files.map(async (file) => ((await stat(join(data, file))).mode & 0o777).toString(8)),
    );
    expect(new Set(modes)).toEqual(new Set(['600']));
    expect(((await stat(data)).mode & 0o777).toString(8)).toBe('700');
  } finally {
    postern.kill('SIGTERM');
    await postern.exited;
    await project.remove();
  }
  expect(await runPostern(['dev', '--listen', 'nowhere'])).toMatchObject({
    code: 2,
    output: expect.stringContaining('--listen must be host:port'),
  });
});

async function isRefused(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(false));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  }).then((refused) => {
    socket.destroy();
    return refused as boolean;
  });
}
