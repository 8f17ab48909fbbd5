import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { kafkaClient, readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';

const brokers = inject('kafkaBrokers');
const prefix = `dispatch-${crypto.randomUUID().slice(0, 8)}`;

/** A function over HTTP whose answers the test decides. */
async function startFunction(
  answer: (id: string, request: IncomingMessage, response: ServerResponse) => void,
) {
  const server: Server = createServer((request, response) => {
    request.resume();
    request.on('end', () => answer(String(request.headers['ce-id']), request, response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}/`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function post(postern: Postern, source: string, ids: string[]): Promise<void> {
  for (let i = 0; i < ids.length; i += 1000) {
    const body = JSON.stringify(ids.slice(i, i + 1000).map((id) => ({ id })));
    const reply = await fetch(`${postern.url}/events/${source}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
    expect(reply.status).toBe(202);
  }
}

/** Committed offsets and log end of a group, per partition. */
async function positions(group: string, topic: string): Promise<{ committed: number; end: number }[]> {
  const admin = kafkaClient(brokers).admin();
  await admin.connect();
  try {
    const [offsets, ends] = [
      await admin.fetchOffsets({ groupId: group, topics: [topic] }),
      await admin.fetchTopicOffsets(topic),
    ];
    // The client lists partitions in any order.
    ends.sort((a, b) => a.partition - b.partition);
    return ends.map(({ partition, high }) => ({
      committed: Number(offsets[0]!.partitions.find((one) => one.partition === partition)?.offset ?? -1),
      end: Number(high),
    }));
  } finally {
    await admin.disconnect();
  }
}

const drained = async (group: string, topic: string) =>
  (await positions(group, topic)).every(({ committed, end }) => committed === end);

const projects: Project[] = [];
const running = new Set<Postern>();
async function start(project: Project, role: string): Promise<Postern> {
  const postern = await startPostern(project, { command: ['serve', '--role', role] });
  running.add(postern);
  void postern.exited.then(() => running.delete(postern));
  return postern;
}
afterAll(async () => {
  for (const postern of running) postern.kill('SIGKILL');
  for (const project of projects) await project.remove();
});

async function project(name: string, functionUrl: string, more: string): Promise<Project> {
  const made = await makeProject({
    yaml: `
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' } }
sources:
  s: { protocol: events, topic: ${prefix}.${name}, id: [/id] }
subscriptions:
  ${name}:
    group: ${prefix}.${name}
    topics: [${prefix}.${name}]
    function: { http: { url: '${functionUrl}' } }
    deadLetter: ${prefix}.${name}.dead
${more}
`,
  });
  projects.push(made);
  return made;
}

describe('functions that fail', () => {
  const EVENTS = 10_000;
  const calls = new Map<string, number>();
  const delivered = new Map<string, number>();
  const waitUntil = new Map<string, number>();
  let tooEarly = 0;
  let target: Awaited<ReturnType<typeof startFunction>>;
  let made: Project;

  beforeAll(async () => {
    let n = 0;
    target = await startFunction((id, _request, response) => {
      const count = (calls.get(id) ?? 0) + 1;
      calls.set(id, count);
      if ((waitUntil.get(id) ?? 0) > performance.now()) tooEarly++;
      n++;
      if (id.endsWith('13'))
        response.writeHead(400).end('never'); // refused for good
      else if (n % 400 === 0)
        return; // never answered: the call times out
      else if (n % 50 === 0) {
        waitUntil.set(id, performance.now() + 990);
        response.writeHead(429, { 'retry-after': '1' }).end();
      } else if (n % 3 === 0) response.writeHead(500).end();
      else {
        delivered.set(id, (delivered.get(id) ?? 0) + 1);
        response.writeHead(204).end();
      }
    });
    made = await project(
      'failing',
      target.url,
      `    timeout: 500ms
    concurrency: 64
    retry: { attempts: 20, min: 10ms, max: 2s }`,
    );
  });
  afterAll(() => target.close());

  it('C51 every event is delivered or dead-lettered, over failures, timeouts, 429s and kill -9 in mid-run', async () => {
    const gateway = await start(made, 'gateway');
    const ids = Array.from({ length: EVENTS }, (_, i) => `e-${i}`);
    await post(gateway, 's', ids);
    gateway.kill('SIGTERM');
    await gateway.exited;
    for (const share of [0.2, 0.5]) {
      const dispatcher = await start(made, 'dispatcher');
      await expect.poll(() => delivered.size, { timeout: 50_000 }).toBeGreaterThan(EVENTS * share);
      dispatcher.kill('SIGKILL');
      await dispatcher.exited;
      // A committed offset is never ahead of what was concluded.
      const dead = new Set(
        (await readTopic(brokers, `${prefix}.failing.dead`)).map((record) => record.headers.ce_id),
      );
      const records = await readTopic(brokers, `${prefix}.failing`);
      const committed = await positions(`${prefix}.failing`, `${prefix}.failing`);
      const passed = records.filter((record) => record.offset < committed[record.partition]!.committed);
      for (const { headers } of passed)
        expect(delivered.has(headers.ce_id!) || dead.has(headers.ce_id!)).toBe(true);
      expect(passed.length).toBeGreaterThan(0);
    }
    const last = await start(made, 'dispatcher');
    await expect
      .poll(() => drained(`${prefix}.failing`, `${prefix}.failing`), { timeout: 100_000, interval: 500 })
      .toBe(true);
    last.kill('SIGTERM');
    expect(await last.exited).toBe(0);
    const dead = await readTopic(brokers, `${prefix}.failing.dead`);
    const deadIds = new Set(dead.map((record) => record.headers.ce_id));
    const refused = ids.filter((id) => id.endsWith('13'));
    for (const id of ids) expect(delivered.has(id) || deadIds.has(id)).toBe(true);
    for (const id of refused) expect([id, deadIds.has(id)]).toEqual([id, true]);
    for (const record of dead.filter(({ headers }) => refused.includes(headers.ce_id!))) {
      // The answer is final, though on a busy machine a call before it may have got none in time.
      expect(record.headers).toMatchObject({ postern_status: '400', postern_topic: `${prefix}.failing` });
      expect(record.value!.toString()).toBe(JSON.stringify({ id: record.headers.ce_id }));
    }
    // Retry-After is obeyed by the process that saw it; a new one after kill -9 can't know of it.
    expect(tooEarly).toBeLessThan(128);
  }, 240_000);

  it('C49 after a drained stop the lag is 0, and a clean restart delivers nothing again', async () => {
    const before = new Map(calls);
    const dispatcher = await start(made, 'dispatcher');
    const gateway = await start(await project('failing', target.url, ''), 'gateway');
    await post(gateway, 's', ['after-restart']);
    await expect.poll(() => delivered.has('after-restart') || calls.get('after-restart')).toBeTruthy();
    await expect
      .poll(() => drained(`${prefix}.failing`, `${prefix}.failing`), { timeout: 30_000 })
      .toBe(true);
    for (const [id, count] of before) expect([id, calls.get(id)]).toEqual([id, count]);
    for (const process of [dispatcher, gateway]) {
      process.kill('SIGTERM');
      expect(await process.exited).toBe(0);
    }
  });
});

describe('slow and stuck functions', () => {
  it('C46 a function slower than everything else causes no rebalance and no repeat, and holds no other subscription', async () => {
    const held: ServerResponse[] = [];
    const seen = new Map<string, number>();
    const slow = await startFunction((id, _request, response) => {
      seen.set(id, (seen.get(id) ?? 0) + 1);
      held.push(response);
    });
    const quickSeen = new Set<string>();
    const quick = await startFunction((id, _request, response) => {
      quickSeen.add(id);
      response.writeHead(204).end();
    });
    const made = await project(
      'slow',
      slow.url,
      `    timeout: 120s
    concurrency: 4
  quick:
    group: ${prefix}.quick
    topics: [${prefix}.slow]
    function: { http: { url: '${quick.url}' } }
    deadLetter: ${prefix}.quick.dead`,
    );
    const postern = await start(made, 'gateway,dispatcher');
    const ids = Array.from({ length: 500 }, (_, i) => `s-${i}`);
    await post(postern, 's', ids);
    await expect.poll(() => quickSeen.size, { timeout: 30_000 }).toBe(ids.length);
    expect(held).toHaveLength(4);
    // Longer than a session would last without heartbeats.
    const held35 = performance.now() + 35_000;
    await expect.poll(() => performance.now() > held35, { timeout: 40_000, interval: 1000 }).toBe(true);
    expect(held).toHaveLength(4);
    expect(postern.output()).not.toMatch(/rebalanc/i);
    const text = await (await fetch(`${postern.admin}/metrics`)).text();
    const lag = [...text.matchAll(/^postern_lag_events\{subscription="slow",.*\} (\d+)$/gm)].reduce(
      (sum, match) => sum + Number(match[1]),
      0,
    );
    expect(lag).toBe(ids.length);
    const answer = setInterval(() => held.splice(0).forEach((response) => response.writeHead(204).end()), 5);
    await expect.poll(() => seen.size, { timeout: 30_000 }).toBe(ids.length);
    await expect.poll(() => drained(`${prefix}.slow`, `${prefix}.slow`), { timeout: 30_000 }).toBe(true);
    clearInterval(answer);
    expect([...seen.values()].every((count) => count === 1)).toBe(true);
    postern.kill('SIGTERM');
    expect(await postern.exited).toBe(0);
    slow.close();
    quick.close();
  }, 180_000);

  it('C50 what came after the subscription existed is delivered, however often the dispatcher came and went', async () => {
    const seen = new Set<string>();
    const target = await startFunction((id, _request, response) => {
      seen.add(id);
      response.writeHead(204).end();
    });
    const made = await project('latest', target.url, '    from: latest');
    const gateway = await start(await project('latest', target.url, ''), 'gateway');
    await post(gateway, 's', ['too-early']);
    const first = await start(made, 'dispatcher');
    await expect
      .poll(async () =>
        (await positions(`${prefix}.latest`, `${prefix}.latest`)).every(({ committed }) => committed >= 0),
      )
      .toBe(true);
    first.kill('SIGKILL');
    await first.exited;
    await post(gateway, 's', ['missed?']);
    const second = await start(made, 'dispatcher');
    await expect.poll(() => seen.has('missed?'), { timeout: 50_000 }).toBe(true);
    expect(seen.has('too-early')).toBe(false);
    for (const process of [gateway, second]) {
      process.kill('SIGTERM');
      expect(await process.exited).toBe(0);
    }
    target.close();
  }, 120_000);
});
