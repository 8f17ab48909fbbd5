import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, inject, it } from 'vitest';
import { readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, startPostern } from './postern.ts';

const brokers = inject('kafkaBrokers');
const prefix = `breaker-${crypto.randomUUID().slice(0, 8)}`;
const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

async function isOpen(postern: Postern): Promise<number> {
  const text = await (await fetch(`${postern.admin}/metrics`)).text();
  return Number(/^postern_breaker_open\{subscription="s"\} (\d)$/m.exec(text)?.[1]);
}

it('C51 kill -9 while the function is down loses nothing, and nothing becomes a dead letter', async () => {
  let isDown = true;
  let refused = 0;
  const seen = new Set<string>();
  const server = createServer((request, response) => {
    request.resume();
    if (isDown) refused++;
    else seen.add(String(request.headers['ce-id']));
    response.writeHead(isDown ? 503 : 204).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const project = await makeProject({
    yaml: `
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' } }
sources:
  s: { protocol: events, topic: ${prefix}, id: [/id] }
subscriptions:
  s:
    group: ${prefix}
    topics: [${prefix}]
    function: { http: { url: 'http://127.0.0.1:${(server.address() as AddressInfo).port}/' } }
    deadLetter: ${prefix}.dead
`,
  });
  ends.push(() => project.remove());

  const first = await startPostern(project);
  ends.push(() => first.kill('SIGKILL'));
  const ids = Array.from({ length: 500 }, (_, i) => `e${i}`);
  const reply = await fetch(`${first.url}/events/s`, {
    method: 'POST',
    body: JSON.stringify(ids.map((id) => ({ id }))),
    headers: { 'content-type': 'application/json' },
  });
  expect(reply.status).toBe(202);
  await expect.poll(() => isOpen(first), { timeout: 30_000 }).toBe(1);
  // The calls at once that opened it, as many on their way at that time, probes, and some that it looks at.
  expect(refused).toBeLessThan(200);
  expect((await fetch(`${first.admin}/readyz`)).status).toBe(200);
  first.kill('SIGKILL');
  await first.exited;

  isDown = false;
  const second = await startPostern(project);
  ends.push(() => second.kill('SIGKILL'));
  await expect.poll(() => seen.size, { timeout: 50_000 }).toBe(ids.length);
  expect(await isOpen(second)).toBe(0);
  second.kill('SIGTERM');
  expect(await second.exited).toBe(0);
  expect(await readTopic(brokers, `${prefix}.dead`)).toEqual([]);
}, 120_000);
