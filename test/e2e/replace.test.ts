import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { until } from '../services/until.ts';
import { readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';

const CONNECTIONS = 50;
/** Between two requests of a connection: all together send 500 a second. */
const PAUSE_MS = 100;
const REPLACEMENTS = 10;
/** How long a load balancer goes on sending to a process that says it is not ready. */
const REMOVAL_MS = 300;

const topic = `replace-${crypto.randomUUID().slice(0, 8)}`;
/** Ports that new connections go to, in turn. */
const endpoints: number[] = [];
let projects: Project[];
let balancer: Server;

beforeAll(async () => {
  const yaml = `
log: { kafka: { brokers: [${inject('kafkaBrokers')}], create: {} } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${topic}:' } }
grace: 4s
sources: { s: { topic: ${topic}, id: [/id] } }`;
  projects = [await makeProject({ yaml }), await makeProject({ yaml })];
  let turn = 0;
  balancer = createServer({ noDelay: true }, (client) => {
    join(client, connect(endpoints[turn++ % endpoints.length]!, '127.0.0.1'));
  });
  balancer.listen(0, '127.0.0.1');
  await once(balancer, 'listening');
});
afterAll(async () => {
  balancer.close();
  for (const project of projects) await project.remove();
});

function join(client: Socket, server: Socket): void {
  client.pipe(server).pipe(client);
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
}

/** Starts the process of a project and lets the balancer send to it. */
async function start(project: Project): Promise<Postern> {
  const postern = await startPostern(project, { command: ['serve', '--role', 'gateway'] });
  endpoints.push(project.port);
  return postern;
}

/** Ends a process while requests still come; resolves with what it answered to one after it was not ready any more. */
async function replace({ port }: Project, old: Postern): Promise<Response> {
  old.kill('SIGTERM');
  await until('the old process is not ready', async () => !(await fetch(`${old.admin}/readyz`)).ok, {
    every: 10,
  });
  const late = await post(old.url, crypto.randomUUID());
  // The balancer learns of it late, and sends to the old process meanwhile.
  await sleep(REMOVAL_MS);
  endpoints.splice(endpoints.indexOf(port), 1);
  expect(await old.exited).toBe(0);
  return late;
}

function post(url: string, id: string): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${url}/events/s`, { method: 'POST', headers, body: JSON.stringify({ id }) });
}

it('C69 loses no request when processes are replaced behind a balancer that learns of it late', async () => {
  let current = await start(projects[0]!);
  const pool = new Pool(`http://127.0.0.1:${(balancer.address() as AddressInfo).port}`, {
    connections: CONNECTIONS,
    pipelining: 1,
  });
  const accepted: string[] = [];
  const failed: string[] = [];
  let going = true;
  const client = async (name: number) => {
    for (let n = 0; going; n++) {
      const id = `${name}-${n}`;
      const headers = { 'content-type': 'application/json' };
      const request = pool.request({ method: 'POST', path: '/events/s', headers, body: `{"id":"${id}"}` });
      await request.then(
        async ({ statusCode, body }) => {
          if (statusCode === 202) accepted.push(id);
          else failed.push(`${statusCode} ${await body.text()}`);
          await body.dump();
        },
        (error: Error) => failed.push(error.message),
      );
      await sleep(PAUSE_MS);
    }
  };
  const clients = Array.from({ length: CONNECTIONS }, (_, name) => client(name));
  for (let round = 0; round < REPLACEMENTS; round++) {
    const next = await start(projects[(round + 1) % 2]!);
    const late = await replace(projects[round % 2]!, current);
    expect([late.status, late.headers.get('connection')]).toEqual([202, 'close']);
    current = next;
  }
  going = false;
  await Promise.all(clients);
  await pool.close();
  current.kill('SIGTERM');
  expect(await current.exited).toBe(0);
  expect(failed).toEqual([]);
  expect(accepted.length).toBeGreaterThan(1_000);
  const stored = new Set((await readTopic(inject('kafkaBrokers'), topic)).map(({ value }) => String(value)));
  expect(accepted.filter((id) => !stored.has(`{"id":"${id}"}`))).toEqual([]);
}, 240_000);
