import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { expect, test } from 'vitest';
import { addWorkflows } from '../../src/admin/workflows.ts';
import { changeWorkflow, listWorkflows, showWorkflow } from '../../src/cli/workflows.ts';
import { readConfig } from '../../src/config/read.ts';

const began = Date.UTC(2026, 0, 2);
const failed = {
  id: 'o-1\u001b[2J',
  status: 'failed',
  outcome: null,
  began,
  steps: { charge: { state: 'undo_failed', since: began } },
  failure: { step: 'ship', reason: 'refused', detail: 'HTTP 422' },
  input: '{"id":"o-1"}',
  results: { charge: '"paid"' },
};
const app = new Hono();
addWorkflows(app, () => ({
  names: () => ['order', 'other'],
  list: (name) => (name === 'order' ? [failed] : []),
  find: (_, id) => (id === 'o-1' ? failed : null),
  retry: async (_, id) => (id === 'o-1' ? 'stored' : 'unknown'),
  cancel: async () => 'not_now',
}));

type Action = 'list' | 'show' | 'retry' | 'cancel';

async function run(action: Action, workflow?: string, id?: string, json = false, on = app) {
  const server = serve({ fetch: on.fetch, port: 0, hostname: '127.0.0.1' });
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const text = `log: { embedded: {} }\ndedupe: { embedded: {} }\nadmin: { listen: 127.0.0.1:${port} }`;
  const { config } = readConfig(text, {}, { file: 'postern.yaml' });
  const lines: string[] = [];
  try {
    const print = (line: string) => void lines.push(line);
    const args = [workflow, id].filter((one) => one !== undefined);
    const line = { config: config!, args, values: { json }, print };
    const good = await (action === 'list'
      ? listWorkflows(line)
      : action === 'show'
        ? showWorkflow(line)
        : changeWorkflow(line, action));
    return { good, text: lines.join('\n') };
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

test('an instance of any id can be shown, tried again and cancelled', async () => {
  const seen: string[] = [];
  const noted = (wish: string) => {
    seen.push(wish);
    return 'stored' as const;
  };
  const odd = new Hono();
  addWorkflows(odd, () => ({
    names: () => ['order'],
    list: () => [],
    find: (_, id) => ({ ...failed, id }),
    retry: async (_, id) => noted(`retry ${id}`),
    cancel: async (_, id) => noted(`cancel ${id}`),
  }));
  const ids = ['..', '.', 'a/../b', '%2e%2e', 'retry', 'cancel', '?id=x&y', '#', ' ', 'é😀'];
  for (const id of ids) {
    const shown = await run('show', 'order', id, true, odd);
    expect(JSON.parse(shown.text)).toMatchObject({ id });
    for (const action of ['retry', 'cancel'] as const)
      expect((await run(action, 'order', id, false, odd)).good).toBe(true);
  }
  expect(seen).toEqual(ids.flatMap((id) => [`retry ${id}`, `cancel ${id}`]));
});

test('list and show say where instances are, without what would steer the terminal', async () => {
  const { text } = await run('list');
  expect(text).toBe(
    'order: 1 instance here\n' +
      '  o-1\\x1b[2J  failed  2026-01-02T00:00:00.000Z  charge undo_failed since 2026-01-02T00:00:00.000Z  (ship refused)\n' +
      'other: 0 instances here',
  );
  expect((await run('list', 'other')).text).toBe('other: 0 instances here');
  expect((await run('show', 'order', 'o-1')).text).toContain('failed: ship refused: HTTP 422\n');
  expect(JSON.parse((await run('show', 'order', 'o-1', true)).text)).toMatchObject({
    results: { charge: 'paid' },
  });
});

test('retry and cancel say whether it is noted', async () => {
  expect(await run('retry', 'order', 'o-1')).toEqual({ good: true, text: 'retry of o-1 is noted' });
  expect(await run('retry', 'order', 'o-2')).toEqual({ good: false, text: expect.stringMatching(/^404: /) });
  expect(await run('cancel', 'order', 'o-1')).toEqual({ good: false, text: expect.stringMatching(/^409: /) });
});

test('an unknown workflow or address is named', async () => {
  await expect(run('list', 'none')).rejects.toThrow('no workflow none runs there');
  const { config } = readConfig(
    'log: { embedded: {} }\ndedupe: { embedded: {} }',
    {},
    { file: 'postern.yaml' },
  );
  const ask = (admin: string) => listWorkflows({ config: config!, args: [], values: { admin }, print() {} });
  await expect(ask('nowhere')).rejects.toThrow('--admin must be a URL');
  await expect(ask('http://127.0.0.1:1')).rejects.toThrow('nobody answers at http://127.0.0.1:1');
});

test('with --admin and a token no config is needed', async () => {
  const seen: (string | undefined)[] = [];
  const elsewhere = new Hono();
  elsewhere.use((context, next) => {
    seen.push(context.req.header('authorization'));
    return next();
  });
  elsewhere.route('/', app);
  const server = serve({ fetch: elsewhere.fetch, port: 0, hostname: '127.0.0.1' });
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const folder = await mkdtemp(join(tmpdir(), 'postern-elsewhere-'));
  const { POSTERN_CONFIG: _, POSTERN_ADMIN_TOKEN: __, ...env } = process.env;
  const postern = (...args: string[]) =>
    promisify(execFile)(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), ...args], {
      cwd: folder,
      env,
      timeout: 30_000,
    });
  try {
    const { stdout } = await postern(
      ...['workflows', 'list', '--admin', `http://127.0.0.1:${port}`, '--token', 'a-token'],
    );
    expect(stdout).toContain('order: 1 instance here');
    expect(seen).toEqual(['Bearer a-token']);
    // A config that is named must exist.
    await expect(
      postern('workflows', 'list', '--admin', `http://127.0.0.1:${port}`, '--config', 'mine.yaml'),
    ).rejects.toThrow('cannot read the config');
    await expect(postern('workflows', 'list')).rejects.toThrow('cannot read the config');
  } finally {
    await rm(folder, { recursive: true });
    await new Promise((resolve) => server.close(resolve));
  }
});
