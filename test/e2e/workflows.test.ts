import { afterAll, afterEach, describe, expect, inject, it } from 'vitest';
import { readTopic } from './kafka-reader.ts';
import { OrderFunctions } from './order-functions.ts';
import { makeProject, type Postern, type Project, runPostern, startPostern } from './postern.ts';

/** The long form: ORDERS=10000 KILLS=20 npx vitest run test/e2e/workflows.test.ts; with `-t shipped` only the orders, `-t approval` how fast one goes on. */
const ORDERS = Number(process.env.ORDERS ?? 300);
const KILLS = Number(process.env.KILLS ?? 2);
const DISPATCHERS = 2;
/** Milliseconds: a group waits half a minute for a member that was killed. */
const LONGEST = 240_000 + KILLS * 60_000 + ORDERS * 50;
const prefix = `flow${crypto.randomUUID().slice(0, 8)}`;
const brokers = inject('kafkaBrokers');
/** Each has ids of its own: the same are used everywhere. */
const kafka = (name: string) => `
log: { kafka: { brokers: ['${brokers}'], create: { partitions: 4, replication: 1 } } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${name}:' } }`;
const embedded = `
log: { embedded: { path: '{folder}/data' } }
dedupe: { embedded: { path: '{folder}/data' } }`;

const projects: Project[] = [];
const running = new Set<Postern>();

async function project(yaml: string): Promise<Project> {
  const made = await makeProject({ yaml });
  projects.push(made);
  return made;
}

async function start(of: Project, role: string): Promise<Postern> {
  const postern = await startPostern(of, { command: ['serve', '--role', role] });
  running.add(postern);
  void postern.exited.then(() => running.delete(postern));
  return postern;
}

async function stop(...posterns: Postern[]): Promise<void> {
  for (const postern of posterns) postern.kill('SIGTERM');
  for (const postern of posterns)
    expect([await postern.exited, postern.output()]).toEqual([0, expect.anything()]);
}

afterEach(async () => {
  for (const postern of running) {
    postern.kill('SIGKILL');
    await postern.exited;
  }
});
afterAll(async () => {
  for (const one of projects) await one.remove();
});

async function send(postern: Postern, source: string, events: object[]): Promise<void> {
  for (let i = 0; i < events.length; i += 500) {
    const reply = await fetch(`${postern.url}/events/${source}`, {
      method: 'POST',
      body: JSON.stringify(events.slice(i, i + 500)),
      headers: { 'content-type': 'application/json' },
    });
    expect(reply.status).toBe(202);
  }
}

interface Listed {
  id: string;
  status: string;
  at: { step: string; state: string }[];
}

async function list(postern: Postern, name: string): Promise<Listed[]> {
  const reply = (await (await fetch(`${postern.admin}/workflows`)).json()) as {
    workflows: { name: string; instances: Listed[] }[];
  };
  return reply.workflows.find((one) => one.name === name)!.instances;
}

const priceOf = (id: string) => 10 + (Number(id.split('-')[1]) % 90);
const isRefused = (id: string) => Number(id.split('-')[1]) % 10 === 3;

/** Exactly the shipped orders are in effect, and nothing was done twice. */
function balance(functions: OrderFunctions, ids: string[]): void {
  const shipped = ids.filter((id) => !isRefused(id)).sort();
  expect([...functions.shipped].sort()).toEqual(shipped);
  expect([...functions.reserved].sort()).toEqual(shipped);
  expect(functions.money).toBe(shipped.reduce((sum, id) => sum + priceOf(id), 0));
  for (const [key, { effects }] of functions.entries) expect([key, effects <= 1]).toEqual([key, true]);
}

function isOver({ shipped, reserved, entries }: OrderFunctions, id: string): boolean {
  return shipped.has(id) || (!reserved.has(id) && entries.has(`"${id}/reserve/undo"`));
}

function orderYaml(name: string, url: string, store: string): string {
  const step = (does: string, undoes: string) =>
    `- { name: ${does}, function: { http: { url: '${url}/${does}' } }, undo: { http: { url: '${url}/${undoes}' } }, retry: { attempts: 8, min: 10ms, max: 500ms }, timeout: 5s }`;
  return `${store}
sources:
  orders: { protocol: events, topic: ${name}.orders, id: [/id], type: order.placed }
workflows:
  ${name}:
    on: { topics: ['${name}.orders'], filter: 'event.type == "order.placed"' }
    steps:
      ${step('reserve', 'release')}
      ${step('charge', 'refund')}
      ${step('ship', 'recall')}
    result: ${name}.done
`;
}

describe('orders', () => {
  it(
    'each ends shipped or wholly undone, over refused charges, flaky steps and kill -9',
    async () => {
      const functions = new OrderFunctions(0.05, isRefused);
      await functions.listen();
      const name = `${prefix}o`;
      const ids = Array.from({ length: ORDERS }, (_, i) => `o-${i}`);
      const yaml = orderYaml(name, functions.url, kafka(name));
      const gateway = await start(await project(yaml), 'gateway');
      const places = await Promise.all(Array.from({ length: DISPATCHERS }, () => project(yaml)));
      let dispatchers = await Promise.all(places.map((place) => start(place, 'dispatcher')));
      const sending = send(
        gateway,
        'orders',
        ids.map((id) => ({ id, price: priceOf(id) })),
      );
      for (let kill = 1; kill <= KILLS; kill++) {
        const enough = Math.floor((ORDERS * 3 * kill) / (KILLS + 1));
        await expect
          .poll(() => functions.entries.size, { timeout: LONGEST, interval: 20 })
          .toBeGreaterThan(enough);
        // In turn, and now and then all of them.
        const victims = kill % 3 === 2 ? dispatchers : [dispatchers[kill % DISPATCHERS]!];
        for (const victim of victims) victim.kill('SIGKILL');
        await Promise.all(victims.map(({ exited }) => exited));
        dispatchers = await Promise.all(
          dispatchers.map((one, i) => (victims.includes(one) ? start(places[i]!, 'dispatcher') : one)),
        );
      }
      await sending;
      const outcomes = new Map<string, Set<string>>();
      await expect
        .poll(
          async () => {
            for (const record of await readTopic(brokers, `${name}.done`)) {
              const { id, outcome } = JSON.parse(record.value!.toString());
              expect(record.headers.ce_id).toBe(`${id}/ended`);
              outcomes.set(id, (outcomes.get(id) ?? new Set()).add(outcome));
            }
            return outcomes.size;
          },
          { timeout: LONGEST, interval: 1_000 },
        )
        .toBe(ORDERS);
      // One outcome each, however often it was told.
      for (const [id, all] of outcomes)
        expect([id, [...all]]).toEqual([id, [isRefused(id) ? 'undone' : 'done']]);
      balance(functions, ids);
      expect(functions.flaked).toBeGreaterThan(ORDERS / 50);
      for (const dispatcher of dispatchers)
        await expect.poll(() => list(dispatcher, name), { timeout: LONGEST }).toEqual([]);
      await stop(gateway, ...dispatchers);
      functions.close();
    },
    2 * LONGEST,
  );
});

describe('orders on the embedded log', () => {
  it(
    'each ends shipped or wholly undone, over kill -9',
    async () => {
      const functions = new OrderFunctions(0.05, isRefused);
      await functions.listen();
      const name = `${prefix}e`;
      const ids = Array.from({ length: 100 }, (_, i) => `o-${i}`);
      const of = await project(orderYaml(name, functions.url, embedded));
      let postern = await start(of, 'gateway,dispatcher');
      await send(
        postern,
        'orders',
        ids.map((id) => ({ id, price: priceOf(id) })),
      );
      for (const enough of [80, 200]) {
        await expect.poll(() => functions.entries.size, { interval: 5 }).toBeGreaterThan(enough);
        postern.kill('SIGKILL');
        await postern.exited;
        postern = await start(of, 'gateway,dispatcher');
      }
      await expect.poll(() => ids.filter((id) => !isOver(functions, id))).toEqual([]);
      await expect.poll(() => list(postern, name)).toEqual([]);
      balance(functions, ids);
      await stop(postern);
      functions.close();
    },
    LONGEST,
  );
});

describe.each(['Kafka and Redis', 'the embedded log'])('an approval on %s', (where) => {
  const isKafka = where.startsWith('Kafka');
  const name = `${prefix}a${isKafka ? 'k' : 'e'}`;

  it('is waited for over a restart of everything, and the order goes on', async () => {
    const functions = new OrderFunctions(0, () => false);
    await functions.listen();
    const of = await project(`${isKafka ? kafka(name) : embedded}
sources:
  orders: { protocol: events, topic: ${name}.orders, id: [/id] }
  approvals: { protocol: events, topic: ${name}.approvals, id: [/id] }
workflows:
  ${name}:
    on: { topics: ['${name}.orders'] }
    steps:
      - { name: reserve, function: { http: { url: '${functions.url}/reserve' } }, undo: { http: { url: '${functions.url}/release' } } }
      - { name: approve, waitFor: { topics: ['${name}.approvals'], filter: event.data.orderId == workflow.id && event.data.ok }, timeout: 24h }
      - { name: ship, function: { http: { url: '${functions.url}/ship' } } }
    result: ${name}.done
`);
    const first = await start(of, 'gateway,dispatcher');
    await send(first, 'orders', [
      { id: 'o-1', price: 3 },
      { id: 'o-2', price: 3 },
    ]);
    const waiting = (postern: Postern) =>
      expect
        .poll(
          async () =>
            (await list(postern, name)).flatMap(({ at }) => at).filter(({ state }) => state === 'waiting')
              .length,
        )
        .toBe(2);
    await waiting(first);
    if (isKafka) await stop(first);
    else {
      first.kill('SIGKILL');
      await first.exited;
    }
    const second = await start(of, 'gateway,dispatcher');
    await waiting(second);
    await send(second, 'approvals', [{ id: 'a-1', orderId: 'o-1', ok: true }]);
    const sent = performance.now();
    await expect.poll(() => [...functions.shipped], { interval: 20 }).toEqual(['o-1']);
    // A figure, not a promise: within 2 s on a machine that has nothing else to do.
    if (process.env.ORDERS)
      console.info(`${where}: went on ${(performance.now() - sent).toFixed()} ms after its approval`);
    expect(
      [...functions.entries].filter(([key]) => key.includes('reserve')).map(([, { calls }]) => calls),
    ).toEqual([1, 1]);

    const admin = ['--admin', second.admin, '--config', of.config];
    const listed = await runPostern(['workflows', 'list', ...admin]);
    expect(listed).toMatchObject({
      code: 0,
      output: expect.stringMatching(/o-2 {2}running .* approve waiting since/),
    });
    const shown = await runPostern(['workflows', 'show', name, 'o-2', '--json', '--config', of.config]);
    expect(JSON.parse(shown.output)).toMatchObject({
      id: 'o-2',
      status: 'running',
      input: { data: { price: 3 } },
    });
    expect((await runPostern(['workflows', 'retry', name, 'o-2', ...admin])).output).toContain('409: ');
    expect((await runPostern(['workflows', 'cancel', name, 'o-9', ...admin])).code).toBe(1);
    expect((await runPostern(['workflows', 'cancel', name, 'o-2', ...admin])).output).toContain('noted');
    await expect.poll(() => [...functions.reserved]).toEqual(['o-1']);
    const metrics = await (await fetch(`${second.admin}/metrics`)).text();
    expect(metrics).toContain(
      `postern_workflow_steps_total{workflow="${name}",step="reserve",outcome="undone"} 1`,
    );
    const form = await fetch(`${second.admin}/workflows/${name}/o-2/cancel`, { method: 'POST', body: 'x=1' });
    expect(form.status).toBe(415);
    await stop(second);
    functions.close();
  }, 120_000);
});
