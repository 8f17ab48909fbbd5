import { once } from 'node:events';
import { readdir, readlink, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, inject, it } from 'vitest';
import { makeProject, type Postern, type Project, startPostern } from '../e2e/postern.ts';

const FILES = 1024;
const topic = `connections-${crypto.randomUUID().slice(0, 8)}`;
const SOURCE = `sources: { s: { protocol: events, topic: ${topic}, id: [/id] } }`;
const EMBEDDED = `
log: { embedded: { path: '{folder}' } }
dedupe: { embedded: { path: '{folder}' } }
${SOURCE}`;
const STORES = `
log: { kafka: { brokers: [${inject('kafkaBrokers')}], create: {} } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${topic}:' } }
grace: 6s
${SOURCE}`;
const POST = 'POST /events/s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n';

let project: Project;
let postern: Postern;
let sockets: Socket[] = [];
const agents: Agent[] = [];

async function start(yaml: string, options: Parameters<typeof startPostern>[1] = {}): Promise<void> {
  project = await makeProject({ yaml, schemas: { any: {} } });
  postern = await startPostern(project, { command: ['serve', '--role', 'gateway'], ...options });
}

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const agent of agents.splice(0)) agent.destroy();
  sockets = [];
  postern.kill('SIGKILL');
  await postern.exited;
  await project.remove();
});

/** A connection whose half stays open whatever the server does. */
function hostile(text: string, from: string): Socket {
  const socket = connect({
    port: project.port,
    host: '127.0.0.1',
    localAddress: from,
    allowHalfOpen: true,
  });
  sockets.push(socket);
  socket.on('error', () => {});
  socket.on('data', () => {});
  if (text !== '') socket.write(text);
  return socket;
}

/** Several at once, from some addresses; resolves when all are connected or were refused. */
async function hostiles(count: number, text = ''): Promise<Socket[]> {
  const all: Socket[] = [];
  while (all.length < count) {
    const some = Array.from({ length: Math.min(100, count - all.length) }, (_, i) =>
      hostile(text, `127.0.0.${2 + (i % 5)}`),
    );
    await Promise.all(some.map((one) => Promise.race([once(one, 'connect'), once(one, 'close')])));
    all.push(...some);
  }
  return all;
}

/** How many sockets a process has open. */
async function socketsOf(pid: number): Promise<number> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all(
    (await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => '')),
  );
  return links.filter((link) => link.startsWith('socket:')).length;
}

interface Answer {
  status: number;
  body: string;
}

function ask(url: string, agent: Agent, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const options = { agent, method: body === undefined ? 'GET' : 'POST', headers, timeout: 30_000 };
    const asked = request(url, options, (response) => {
      let text = '';
      response.on('data', (bytes) => (text += bytes));
      response.on('end', () => resolve({ status: response.statusCode!, body: text }));
    });
    asked.on('timeout', () => asked.destroy(new Error(`${url} does not answer`)));
    asked.on('error', reject);
    asked.end(body);
  });
}

function agent(keepAlive: boolean): Agent {
  const one = new Agent({ keepAlive, maxSockets: keepAlive ? 1 : 100 });
  agents.push(one);
  return one;
}

/** A client that behaves well: an event every 50 ms on a kept connection and on a new one. Its end tells what went wrong. */
function goodClient() {
  const [kept, fresh] = [agent(true), agent(false)];
  const wrong: string[] = [];
  let rounds = 0;
  let going = true;
  const send = async (name: string, url: string, by: Agent, body: string | undefined, right: number) => {
    try {
      const { status, body: text } = await ask(url, by, body);
      if (status !== right) wrong.push(`${name}: ${status} ${text}`);
    } catch (error) {
      wrong.push(`${name}: ${(error as Error).message}`);
    }
  };
  const work = (async () => {
    for (let n = 0; going; n++, rounds++) {
      await Promise.all([
        send('kept', `${postern.url}/events/s`, kept, `{"id":"kept-${n}"}`, 202),
        send('new', `${postern.url}/events/s`, fresh, `{"id":"new-${n}"}`, 202),
        send('livez', `${postern.admin}/livez`, fresh, undefined, 200),
        sleep(50),
      ]);
    }
  })();
  return {
    /** Resolves when it has sent of each kind so often, and each was answered or went wrong. */
    async sent(more: number): Promise<void> {
      const until = rounds + more;
      await expect.poll(() => rounds, { message: 'the good client goes on' }).toBeGreaterThanOrEqual(until);
    },
    async end(): Promise<string[]> {
      going = false;
      await work;
      return wrong;
    },
  };
}

it('2,000 silent connections keep nobody out, and a stop ends them within its grace', async () => {
  await start(STORES, { files: FILES });
  const client = goodClient();
  await client.sent(5);
  await hostiles(2000);
  // They come again as long as it lasts, some of them with half a head.
  for (let wave = 0; wave < 5; wave++) {
    await hostiles(200, wave % 2 === 0 ? '' : POST);
    await client.sent(5);
  }
  expect(await socketsOf(postern.pid)).toBeGreaterThan(FILES / 2);
  expect((await ask(`${postern.admin}/readyz`, agent(false))).status).toBe(200);
  expect(await client.end()).toEqual([]);
  expect(postern.output()).toContain('is more than the limit of file descriptors allows');

  await hostiles(100);
  await hostiles(50, POST);
  await hostiles(20, `${POST}content-length: 100\r\n\r\n{"id`);
  const unread = await hostiles(5);
  for (const socket of unread) {
    socket.pause();
    socket.write('GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(500));
  }
  for (const socket of await hostiles(10, 'HELLO\r\n\r\n')) socket.write('x');
  postern.kill('SIGTERM');
  // It says itself when the grace was too short.
  expect(await postern.exited).toBe(0);
});

it('what was malformed or came too slowly has no socket here after its answer, though its half stays open', async () => {
  await start(`${EMBEDDED}\ngateway:\n  limits: { headTime: 1s }\n`);
  const before = await socketsOf(postern.pid);
  const bad = await hostiles(60, 'HELLO\r\n\r\n');
  const slow = await hostiles(60, POST);
  const ended = () => [...bad, ...slow].filter(({ readableEnded }) => readableEnded).length;
  await expect.poll(ended, { message: 'all are answered' }).toBe(120);
  await expect
    .poll(() => socketsOf(postern.pid), { timeout: 30_000, message: 'the sockets are gone' })
    .toBeLessThanOrEqual(before);
});

it('a process without file descriptors says so, keeps its schemas, and comes back by itself', async () => {
  const hog = `
    import { closeSync, openSync } from 'node:fs';
    const held = [];
    let step = 0;
    const take = (left) => {
      try {
        for (;;) held.push(openSync('/dev/null'));
      } catch {
        for (const fd of held.splice(0, left)) closeSync(fd);
      }
    };
    let timer;
    process.on('SIGUSR2', () => {
      step++;
      if (step === 1) take(3);
      // Descriptors that closed connections give back are taken too.
      else if (step === 2) timer = setInterval(take, 10, 0);
      else {
        clearInterval(timer);
        for (const fd of held.splice(0)) closeSync(fd);
      }
    });`;
  await start(EMBEDDED, {
    files: 256,
    node: ['--import', `data:text/javascript,${encodeURIComponent(hog)}`],
  });
  const [kept, fresh] = [agent(true), agent(false)];
  const ready = async (by: Agent) => {
    const { status, body } = await ask(`${postern.admin}/readyz`, by);
    return {
      status,
      parts: (JSON.parse(body) as { parts: Record<string, { state: string; detail?: string }> }).parts,
    };
  };
  const poll = (by: Agent, detail: string | undefined) =>
    expect
      .poll(async () => (await ready(by)).parts.descriptors?.detail, { message: `says ${detail}` })
      .toBe(detail);
  await poll(kept, undefined);
  postern.kill('SIGUSR2');
  await poll(fresh, 'file descriptors: the process has used up its limit of 256 but for fewer than 6');
  postern.kill('SIGUSR2');
  await poll(kept, 'file descriptors: the process has used up its limit of 256');
  await writeFile(join(project.folder, 'schemas', 'other.json'), '{}');
  // The folder of the schemas is looked at every two seconds, and nothing tells of a look that finds no file descriptor.
  await sleep(2500);
  const without = await ready(kept);
  expect([without.status, without.parts.schemas]).toEqual([503, { state: 'ok' }]);
  postern.kill('SIGUSR2');
  await poll(kept, undefined);
  expect((await ready(fresh)).status).toBe(200);
  expect((await ask(`${postern.url}/events/s`, fresh, '{"id":"after"}')).status).toBe(202);
  await expect
    .poll(async () => (await ask(`${postern.admin}/metrics`, fresh)).body)
    .toContain('postern_schemas 2');
  await expect.poll(() => postern.output()).toContain('"msg":"file descriptors: there are enough again"');
  expect(postern.output()).not.toContain('EMFILE');
});
