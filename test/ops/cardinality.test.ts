import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeProject, type Postern, type Project, startPostern } from '../e2e/postern.ts';

const CLIENTS = 10_000;
const AT_ONCE = 50;
const METHODS = ['PUT', 'DELETE', 'PATCH', 'PROPFIND', 'GET', 'HEAD', 'OPTIONS', 'SEARCH'];

let project: Project;
let postern: Postern;

beforeAll(async () => {
  project = await makeProject({
    schemas: { any: { type: 'object' } },
    yaml: `
log: { embedded: { path: '{folder}' } }
dedupe: { embedded: { path: '{folder}' } }
sources:
  web: { topic: web, id: [/id], type: /type, key: /id, schema: { known: any, '*': any } }
  hooks: { protocol: webhook, topic: hooks, verify: { scheme: github, secrets: [a-secret] } }
`,
  });
  postern = await startPostern(project);
});

afterAll(async () => {
  postern.kill('SIGKILL');
  await postern.exited;
  await project.remove();
});

/** Requests of one client, which chooses every value that it can. Each tenth client sends all kinds. */
async function sendAs(client: string, count: number): Promise<void> {
  const headers = {
    'user-agent': `agent-${client}`,
    'x-hub-signature-256': `sha256=${client}`,
    'x-github-event': client,
    'x-github-delivery': client,
    traceparent: client,
  };
  const body = JSON.stringify({ id: client, type: `type.${client}` });
  const post = (path: string, more: RequestInit = {}) =>
    fetch(`${postern.url}${path}`, { method: 'POST', body, headers, ...more });
  const replies = [post(`/events/web?client=${client}`), post(`/events/${client}`)];
  if (count % 10 === 0) {
    replies.push(
      post(`/${client}/${client}`),
      post(`/webhooks/hooks?${client}`),
      post('/events/web', { body: `${client} is not JSON` }),
      post('/events/web', { headers: { ...headers, 'content-type': `text/${client}` } }),
      fetch(`${postern.url}/events/web`, { method: METHODS[(count / 10) % METHODS.length]!, headers }),
      fetch(`${postern.admin}/${client}`),
    );
  }
  for (const reply of await Promise.all(replies)) await reply.arrayBuffer();
}

async function series(): Promise<string[]> {
  const text = await (await fetch(`${postern.admin}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith('postern_'))
    .map((line) => line.slice(0, line.lastIndexOf(' ')));
}

test(`C64 ${CLIENTS} ids, types, paths and user agents make no series`, async () => {
  // One client of each kind: what it meets is counted from then on.
  for (let count = 0; count < METHODS.length * 10; count++) await sendAs(`first-${count}`, count);
  const before = await series();
  let sent = 0;
  const sender = async () => {
    while (sent < CLIENTS) {
      const count = sent++;
      await sendAs(crypto.randomUUID(), count);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sender));
  expect(await series()).toEqual(before);
  const text = await (await fetch(`${postern.admin}/metrics`)).text();
  const stored = /^postern_events_total\{source="web",verdict="accepted"\} (\d+)$/m.exec(text)?.[1];
  expect(Number(stored)).toBeGreaterThanOrEqual(CLIENTS);
}, 240_000);
