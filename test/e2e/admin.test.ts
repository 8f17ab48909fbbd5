import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { makeProject, type Postern, type Project, runPostern, startPostern } from './postern.ts';

const READ = 'read-token-0123456789';
const OPERATE = 'operate-token-0123456789';
const yaml = `
log: { embedded: { path: '{folder}/data' } }
dedupe: { embedded: { path: '{folder}/data' } }
sources:
  orders: { topic: orders, id: [/id], type: order.placed }
workflows:
  order:
    on: { topics: [orders] }
    steps:
      - name: approve
        waitFor: { topics: [orders], filter: 'event.data.order == workflow.id' }
admin:
  hosts: [admin.shop.example]
  tokens: { read: ['${READ}'], operate: ['file:{folder}/token'] }
`;

let project: Project;
let postern: Postern;

beforeAll(async () => {
  project = await makeProject({ yaml });
  await writeFile(join(project.folder, 'token'), `${OPERATE}\n`);
  postern = await startPostern(project);
  const reply = await fetch(`${postern.url}/events/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([{ id: 'o-1' }, { id: 'o-2' }, { id: 'o-3' }]),
  });
  expect(reply.status).toBe(202);
  await vi.waitFor(
    async () => {
      const { text } = await ask('GET', '/workflows', { authorization: `Bearer ${READ}` });
      expect(text).toMatch(/(?:"waiting".*){3}/);
    },
    { timeout: 20_000, interval: 50 },
  );
});
afterAll(async () => {
  postern.kill('SIGTERM');
  expect(await postern.exited).toBe(0);
  // Neither the process nor its log says a token, whatever was asked of it.
  expect(postern.output()).not.toMatch(/(?:read|operate)-token/);
  await project.remove();
});

/** Headers go out as they are given. */
function ask(method: string, path: string, headers: Record<string, string>) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: project.adminPort, method, path, headers, agent: false });
    sent.setTimeout(10_000, () => sent.destroy(new Error(`no answer to ${method} ${path} in 10 s`)));
    sent.on('error', reject);
    sent.on('response', async (reply) => {
      let text = '';
      for await (const chunk of reply.setEncoding('utf8')) text += chunk;
      resolve({ status: reply.statusCode!, text });
    });
    sent.end(method === 'POST' ? '{}' : undefined);
  });
}

const command = (args: string[], env?: Record<string, string>) =>
  runPostern(['workflows', ...args, '--config', project.config], undefined, env);

it('a page under a name of its own can neither see nor cancel an instance', async () => {
  const json = { 'content-type': 'application/json' };
  const bearer = { authorization: `Bearer ${OPERATE}` };
  const rebound = { host: `attacker.example:${project.adminPort}` };
  for (const headers of [
    { ...rebound },
    { ...rebound, ...bearer },
    { ...rebound, ...bearer, origin: `http://${rebound.host}`, 'sec-fetch-site': 'same-origin' },
    { ...bearer, origin: 'http://attacker.example' },
    { ...bearer, 'sec-fetch-site': 'cross-site' },
  ]) {
    for (const path of ['/workflows', '/workflows/order/o-1']) {
      const { status, text } = await ask('GET', path, headers);
      expect(status).toBe(403);
      expect(text).not.toContain('o-1');
    }
    for (const wish of ['retry', 'cancel'])
      expect((await ask('POST', `/workflows/order/o-1/${wish}`, { ...json, ...headers })).status).toBe(403);
  }
  const named = { host: 'admin.shop.example', origin: 'https://admin.shop.example', ...bearer };
  expect(await ask('GET', '/workflows/order/o-1', named)).toMatchObject({
    status: 200,
    text: expect.stringContaining('"waiting"'),
  });
  for (const path of ['/livez', '/readyz', '/metrics'])
    expect((await ask('GET', path, rebound)).status).toBe(200);
});

it("the commands use the config's token, one that may operate first", async () => {
  expect(await command(['list'])).toMatchObject({ code: 0, output: expect.stringContaining('3 instances') });
  expect(await command(['show', 'order', 'o-1'])).toMatchObject({ code: 0 });
  expect(await command(['cancel', 'order', 'o-1'])).toMatchObject({
    code: 0,
    output: 'cancel of o-1 is noted\n',
  });
});

it('a token is also taken from the environment, and before it from the command line', async () => {
  const reading = { POSTERN_ADMIN_TOKEN: `${READ}\n` };
  expect(await command(['show', 'order', 'o-2'], reading)).toMatchObject({ code: 0 });
  expect(await command(['cancel', 'order', 'o-2'], reading)).toEqual({
    code: 1,
    output: '403: this token may only read; use one of admin.tokens.operate\n',
  });
  expect(await command(['cancel', 'order', 'o-2', '--token', OPERATE], reading)).toMatchObject({ code: 0 });
  // An empty variable is none.
  expect(await command(['show', 'order', 'o-3'], { POSTERN_ADMIN_TOKEN: '' })).toMatchObject({ code: 0 });
});

it('a command with a wrong token, with none, or with one that cannot be sent says so without the token', async () => {
  for (const args of [
    ['list'],
    ['show', 'order', 'o-3'],
    ['cancel', 'order', 'o-3'],
    ['retry', 'order', 'o-3'],
  ]) {
    const { code, output } = await command([...args, '--token', 'secret-of-another']);
    expect([code, output]).toEqual([
      1,
      expect.stringMatching(/^401: this token is not in .*\nthe token comes from --token/),
    ]);
    expect(output).not.toContain('secret-of-another');
  }
  const { code, output } = await command(['list', '--token', 'secret of another']);
  expect([code, output]).toEqual([2, expect.stringContaining('visible ASCII characters')]);
  expect(output).not.toContain('secret of another');
  const bare = await makeProject({ yaml: yaml.slice(0, yaml.indexOf('admin:')) });
  expect(
    await runPostern(['workflows', 'list', '--config', bare.config, '--admin', postern.admin]),
  ).toMatchObject({
    code: 1,
    output: expect.stringMatching(/^401: send a token of admin\.tokens .*\nthe token comes from --token/),
  });
  await bare.remove();
});
