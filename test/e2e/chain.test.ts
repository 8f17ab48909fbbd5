import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CloudEvent, HTTP } from 'cloudevents';
import { afterEach, describe, expect, inject, it } from 'vitest';
import type { RecordedSpan } from '../adapters/telemetry/recording-provider.ts';
import { freePort } from '../services/free-port.ts';
import { within } from '../services/until.ts';
import { kafkaClient, readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, startPostern } from './postern.ts';

const brokers = inject('kafkaBrokers');
const prefix = `chain-${crypto.randomUUID().slice(0, 8)}`;
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;

const endings: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

/** In a config, where topics are not to be made. */
const CREATE = ', create: true';
const NO_CREATE = ', create: false';

interface Called {
  headers: Record<string, string>;
  body: string;
}

/** A function over HTTP that keeps what it got. */
async function startFunction(answer: (called: Called, response: ServerResponse) => unknown) {
  const calls: Called[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const called = { headers: request.headers as Record<string, string>, body };
    calls.push(called);
    await answer(called, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  endings.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { calls, url: `http://127.0.0.1:${(server.address() as { port: number }).port}/` };
}

/** Google's Functions Framework in a process of its own. */
async function startFramework(): Promise<string> {
  const port = await freePort();
  const main = join(
    import.meta.dirname,
    '../../node_modules/@google-cloud/functions-framework/build/src/main.js',
  );
  const source = join(import.meta.dirname, 'chain-function.ts');
  const child = spawn(process.execPath, [main, `--source=${source}`, '--target=chain', `--port=${port}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  endings.push(() => child.kill('SIGKILL'));
  const url = `http://127.0.0.1:${port}/`;
  const listening = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (text: Buffer) => text.includes('URL:') && resolve());
    child.once('exit', (code) => reject(new Error(`the framework ended with ${code}`)));
  });
  await within('the framework listens', listening);
  return url;
}

interface Link {
  name: string;
  topic: string;
  url: string;
  reply?: string;
  more?: string;
}

function config(links: Link[], topic: string): string {
  return `
log: { kafka: { brokers: ['${brokers}']${CREATE} } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}.${topic}:' } }
sources:
  s: { protocol: events, topic: ${prefix}.${topic}, id: [/id], key: /device }
subscriptions:
${links
  .map(
    ({ name, topic, url, reply, more = '' }) => `  ${name}:
    group: ${prefix}.${name}
    topics: [${prefix}.${topic}]
    function: { http: { url: '${url}'${more.includes('structured') ? ', mode: structured' : ''} } }
    deadLetter: ${prefix}.${name}.dead
    redrive: ${prefix}.${name}.redrive
    ${reply === undefined ? '' : `reply: ${prefix}.${reply}`}
${more.replace('structured', '')}`,
  )
  .join('\n')}
`;
}

async function start(
  yaml: string,
  role: 'gateway' | 'dispatcher',
  node: string[] = [],
  early = false,
): Promise<Postern> {
  const made = await makeProject({ yaml });
  endings.push(() => made.remove());
  const postern = await startPostern(made, { command: ['serve', '--role', role], node, early });
  endings.push(() => postern.kill('SIGKILL'));
  return postern;
}

async function post(gateway: Postern, body: unknown, headers: Record<string, string> = {}): Promise<void> {
  const reply = await fetch(`${gateway.url}/events/s`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
  expect(await reply.json()).toMatchObject({ accepted: Array.isArray(body) ? body.length : 1 });
}

/** Committed offsets of a group, by partition. */
async function positions(name: string, topic: string): Promise<Map<number, number>> {
  const admin = kafkaClient(brokers).admin();
  await admin.connect();
  try {
    const groupId = `${prefix}.${name}`;
    const [offsets] = await admin.fetchOffsets({ groupId, topics: [`${prefix}.${topic}`] });
    return new Map(
      offsets!.partitions.map(({ partition, offset }) => [partition, Math.max(0, Number(offset))]),
    );
  } finally {
    await admin.disconnect();
  }
}

/** Events that a group is through with. */
async function committed(name: string, topic: string): Promise<number> {
  return [...(await positions(name, topic)).values()].reduce((sum, offset) => sum + offset, 0);
}

/** Topics of a subscription, but for that of its replies: until `open` nothing can be written there. */
async function lockedReplies(name: string): Promise<{ open(): Promise<void> }> {
  const admin = kafkaClient(brokers).admin();
  await admin.connect();
  endings.push(() => admin.disconnect());
  const create = (...topics: string[]) =>
    admin.createTopics({
      waitForLeaders: true,
      topics: topics.map((topic) => ({
        topic: `${prefix}.${topic}`,
        numPartitions: 2,
        replicationFactor: 1,
      })),
    });
  await create(name, `${name}.rejected`, `${name}.dead`, `${name}.redrive`);
  return {
    async open() {
      await create(`${name}.out`);
    },
  };
}

const ids = async (topic: string) =>
  (await readTopic(brokers, `${prefix}.${topic}`)).map(({ headers }) => headers.ce_id);
const replies = async (postern: Postern, name: string, outcome: string) => {
  const text = await (await fetch(`${postern.admin}/metrics`)).text();
  const line = `postern_replies_total{subscription="${name}",outcome="${outcome}"} `;
  return Number(text.split(line)[1]?.split('\n')[0] ?? 0);
};

interface Seen {
  by: string;
  traceparent: string;
  hops: string | undefined;
}

/** Functions behind the CloudEvents SDK, Google's framework and Node alone; each answers to the next one's topic. */
async function chainOfThree() {
  const sdk = await startFunction(({ headers, body }, response) => {
    const event = HTTP.toEvent<{ seen?: Seen[] }>({ headers, body }) as CloudEvent<{ seen?: Seen[] }>;
    const step = { by: 'sdk', traceparent: headers.traceparent, hops: event.posternhops };
    const seen = [...(event.data?.seen ?? []), step];
    const next = new CloudEvent({ id: `${event.id}.sdk`, source: '/sdk', type: 'chain.sdk', data: { seen } });
    const message = HTTP.structured(next);
    response.writeHead(200, message.headers as Record<string, string>).end(message.body);
  });
  const node = await startFunction(({ headers, body }, response) => {
    const { traceparent, 'ce-posternhops': hops } = headers;
    const seen = [...JSON.parse(body).seen, { by: 'node', traceparent, hops }];
    response.writeHead(200, {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': `${headers['ce-id']}.node`,
      'ce-source': '/node',
      'ce-type': 'chain.node',
    });
    response.end(JSON.stringify({ seen }));
  });
  return { sdk: sdk.url, framework: await startFramework(), node: node.url };
}

describe('a chain of three functions over Kafka', () => {
  async function links(name: string): Promise<Link[]> {
    const { sdk, framework, node } = await chainOfThree();
    return [
      { name: `${name}-1`, topic: `${name}.in`, url: sdk, reply: `${name}.one`, more: 'structured' },
      { name: `${name}-2`, topic: `${name}.one`, url: framework, reply: `${name}.two` },
      { name: `${name}-3`, topic: `${name}.two`, url: node, reply: `${name}.out` },
    ];
  }

  async function outcome(name: string) {
    await expect.poll(() => ids(`${name}.out`), { timeout: 90_000, interval: 300 }).toHaveLength(1);
    const [record] = await readTopic(brokers, `${prefix}.${name}.out`);
    return { ...record!, seen: (JSON.parse(record!.value!.toString()) as { seen: Seen[] }).seen };
  }

  it('shows one trace id in all three, with no SDK plugged in', async () => {
    const yaml = config(await links('plain'), 'plain.in');
    const gateway = await start(yaml, 'gateway');
    await start(yaml, 'dispatcher');
    await post(gateway, { id: 'e', device: 'd-1' }, { traceparent: PARENT, tracestate: 'a=1' });
    const { seen, headers, key } = await outcome('plain');
    expect(seen.map(({ by, hops }) => [by, hops === undefined ? 0 : Number(hops)])).toEqual([
      ['sdk', 0],
      ['framework', 1],
      ['node', 2],
    ]);
    expect(seen.map(({ traceparent }) => traceparent)).toEqual([PARENT, PARENT, PARENT]);
    expect(headers).toMatchObject({
      ce_id: 'e.sdk.framework.node',
      ce_posternhops: '3',
      traceparent: PARENT,
      tracestate: 'a=1',
    });
    expect(key!.toString()).toBe('d-1');
  }, 240_000);

  it('shows it with an SDK, too, where each step hangs on the one before', async () => {
    const yaml = config(await links('traced'), 'traced.in');
    const folder = await mkdtemp(join(tmpdir(), 'postern-spans-'));
    endings.push(() => rm(folder, { recursive: true }));
    const file = join(folder, 'spans');
    const provider = pathToFileURL(join(import.meta.dirname, 'span-provider.ts')).href;
    const node = ['--import', `${provider}?file=${encodeURIComponent(file)}`];
    const gateway = await start(yaml, 'gateway', node);
    const dispatcher = await start(yaml, 'dispatcher', node);
    await post(gateway, { id: 'e', device: 'd-1' }, { traceparent: PARENT });
    const { seen, headers } = await outcome('traced');
    for (const process of [gateway, dispatcher]) {
      process.kill('SIGTERM');
      expect(await process.exited).toBe(0);
    }
    const spans = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as RecordedSpan);
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
    // From the last record back to the client's own span.
    const path: string[] = [];
    let id = headers.traceparent!.slice(36, 52);
    for (let span = spans.find(({ spanId }) => spanId === id); span !== undefined; ) {
      path.unshift(`${span.kind} ${span.name.replace(prefix, '')}`);
      id = span.parent!;
      span = spans.find(({ spanId }) => spanId === id);
    }
    expect(id).toBe('b7ad6b7169203331');
    expect(path).toEqual([
      'SERVER POST /events/:source',
      'CONSUMER process .traced.in',
      'CLIENT POST /',
      'CONSUMER process .traced.one',
      'CLIENT POST /',
      'CONSUMER process .traced.two',
      'CLIENT POST /',
    ]);
    const calls = spans.filter(({ kind }) => kind === 'CLIENT').map(({ spanId }) => spanId);
    expect(seen.map(({ traceparent }) => traceparent.slice(36, 52))).toEqual(calls);
    const sends = spans.filter(({ kind }) => kind === 'PRODUCER').map(({ name }) => name.replace(prefix, ''));
    expect(sends).toEqual(['send .traced.in', 'send .traced.one', 'send .traced.two', 'send .traced.out']);
    expect(spans.some(({ failed }) => failed)).toBe(false);
  }, 240_000);
});

describe('a loop', () => {
  it('of a function that answers to its own topic ends with a dead letter that says so', async () => {
    const target = await startFunction(({ headers }, response) => {
      response.writeHead(200, {
        'content-type': 'application/json',
        'ce-specversion': '1.0',
        'ce-id': crypto.randomUUID(),
        'ce-source': '/loop',
        'ce-type': 'again',
        // It cannot make its events look new.
        'ce-posternhops': '0',
      });
      response.end(JSON.stringify({ after: headers['ce-id'] }));
    });
    const yaml = config([{ name: 'loop', topic: 'loop', url: target.url, reply: 'loop' }], 'loop');
    const gateway = await start(yaml, 'gateway');
    const dispatcher = await start(yaml, 'dispatcher');
    await post(gateway, { id: 'e' });
    await expect.poll(() => ids('loop.dead'), { timeout: 90_000, interval: 300 }).toHaveLength(1);
    await expect.poll(() => committed('loop', 'loop'), { timeout: 90_000, interval: 300 }).toBe(17);
    const [letter] = await readTopic(brokers, `${prefix}.loop.dead`);
    expect(letter!.headers).toMatchObject({
      postern_reason: 'too_many_hops',
      postern_attempts: '1',
      postern_topic: `${prefix}.loop`,
      ce_posternhops: '16',
    });
    expect(letter!.headers.postern_error).toMatch(/loop/);
    expect(await ids('loop')).toHaveLength(17);
    expect(target.calls).toHaveLength(17);
    expect(await replies(dispatcher, 'loop', 'stored')).toBe(16);
    expect(await replies(dispatcher, 'loop', 'too_many_hops')).toBe(1);
  }, 240_000);
});

const answerTo = ({ headers }: Called, response: ServerResponse, more: Record<string, string> = {}) => {
  response.writeHead(200, {
    'content-type': 'application/json',
    'ce-specversion': '1.0',
    'ce-id': `r-${headers['ce-id']}`,
    'ce-source': '/fn',
    'ce-type': 'done',
    ...more,
  });
  response.end('{}');
};

describe('a reply', () => {
  it('whose topic cannot be written holds its event, is stored when it can, and is not asked for again', async () => {
    const target = await startFunction(answerTo);
    const topic = await lockedReplies('locked');
    const link = { name: 'locked', topic: 'locked', url: target.url, reply: 'locked.out' };
    const yaml = config([link], 'locked').replace(CREATE, NO_CREATE);
    const gateway = await start(yaml, 'gateway', [], true);
    const dispatcher = await start(yaml, 'dispatcher', [], true);
    await post(gateway, [{ id: 'a' }, { id: 'b' }, { id: 'c' }]);
    await expect
      .poll(() => replies(dispatcher, 'locked', 'failed'), { timeout: 90_000, interval: 300 })
      .toBeGreaterThan(0);
    expect(await committed('locked', 'locked')).toBe(0);
    await topic.open();
    await expect.poll(() => committed('locked', 'locked'), { timeout: 90_000, interval: 300 }).toBe(3);
    expect((await ids('locked.out')).sort()).toEqual(['r-a', 'r-b', 'r-c']);
    expect(target.calls).toHaveLength(3);
    expect(await ids('locked.dead')).toEqual([]);
  }, 300_000);

  it('is not lost when the dispatcher is killed between the call and the reply: the event comes again', async () => {
    const target = await startFunction(answerTo);
    const topic = await lockedReplies('killed');
    const link = { name: 'killed', topic: 'killed', url: target.url, reply: 'killed.out' };
    const yaml = config([link], 'killed').replace(CREATE, NO_CREATE);
    const gateway = await start(yaml, 'gateway', [], true);
    const first = await start(yaml, 'dispatcher', [], true);
    const sent = ['a', 'b', 'c'];
    await post(
      gateway,
      sent.map((id) => ({ id })),
    );
    await expect.poll(() => target.calls.length, { timeout: 90_000 }).toBe(3);
    first.kill('SIGKILL');
    await first.exited;
    expect(await committed('killed', 'killed')).toBe(0);
    await topic.open();
    await start(yaml, 'dispatcher');
    await expect
      .poll(() => committed('killed', 'killed'), { timeout: 90_000, interval: 300 })
      .toBe(sent.length);
    expect(target.calls).toHaveLength(6);
    expect(new Set(await ids('killed.out'))).toEqual(new Set(sent.map((id) => `r-${id}`)));
  }, 300_000);

  it('is not lost when the dispatcher is killed at any time', async () => {
    let strike = () => {};
    let left = 0;
    // Nothing is answered before the test knows whom to strike.
    let begin = () => {};
    let begun = Promise.resolve();
    const target = await startFunction(async (called, response) => {
      await begun;
      answerTo(called, response);
      if (--left === 0) strike();
    });
    const link = { name: 'struck', topic: 'struck', url: target.url, reply: 'struck.out' };
    const yaml = config([link], 'struck');
    const gateway = await start(yaml, 'gateway');
    const sent = Array.from({ length: 400 }, (_, i) => `e-${i}`);
    const all = sent.map((id) => ({ id }));
    await post(gateway, all);
    for (const calls of [30, 110]) {
      begun = new Promise((resolve) => {
        begin = resolve;
      });
      const dispatcher = await start(yaml, 'dispatcher');
      strike = () => dispatcher.kill('SIGKILL');
      left = calls;
      begin();
      expect(await dispatcher.exited).toBe('SIGKILL');
      // A committed event has its reply.
      const done = new Set(await ids('struck.out'));
      const ends = await positions('struck', 'struck');
      const passed = (await readTopic(brokers, `${prefix}.struck`)).filter(
        ({ partition, offset }) => offset < (ends.get(partition) ?? 0),
      );
      for (const { headers } of passed)
        expect([headers.ce_id, done.has(`r-${headers.ce_id}`)]).toEqual([headers.ce_id, true]);
    }
    left = Number.POSITIVE_INFINITY;
    await start(yaml, 'dispatcher');
    await expect
      .poll(() => committed('struck', 'struck'), { timeout: 90_000, interval: 300 })
      .toBe(sent.length);
    expect(new Set(await ids('struck.out'))).toEqual(new Set(sent.map((id) => `r-${id}`)));
  }, 240_000);

  it('that is no proper event ends in a dead letter, after the attempts', async () => {
    const target = await startFunction((called, response) => answerTo(called, response, { 'ce-type': '' }));
    const more = '    retry: { attempts: 2, min: 10ms, max: 20ms }';
    const link = { name: 'bad', topic: 'bad', url: target.url, reply: 'bad.out', more };
    const yaml = config([link], 'bad');
    const gateway = await start(yaml, 'gateway');
    await start(yaml, 'dispatcher');
    await post(gateway, { id: 'a' });
    await expect.poll(() => ids('bad.dead'), { timeout: 90_000, interval: 300 }).toEqual(['a']);
    const [letter] = await readTopic(brokers, `${prefix}.bad.dead`);
    expect(letter!.headers).toMatchObject({ postern_reason: 'bad_reply', postern_attempts: '2' });
    expect(letter!.headers.postern_error).toContain('ce-type');
    expect(target.calls).toHaveLength(2);
  }, 240_000);
});
