import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Kafka, startKafka } from '../services/kafka.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';

interface Answer {
  status: number;
  accepted: number;
  duplicates: number;
  rejected: number;
  retry: number;
  /** Why it is `retry` or rejected, as far as anything is. */
  events: { errors?: { code: string }[] }[];
}

async function send(postern: Postern, source: string, ids: string[]): Promise<Answer> {
  const response = await fetch(`${postern.url}/events/${source}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: ids.length === 1 ? JSON.stringify({ id: ids[0] }) : JSON.stringify(ids.map((id) => ({ id }))),
  });
  return { ...((await response.json()) as Answer), status: response.status };
}

/** Repeatable pseudo-random numbers in [0, 1). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [copy[i], copy[j]] = [copy[j]!, copy[i]!];
  }
  return copy;
}

describe('many clients, several gateways, shared servers', () => {
  const brokers = inject('kafkaBrokers');
  const prefix = `dedupe-${crypto.randomUUID().slice(0, 8)}`;
  const yaml = `
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:', timeout: 5s } }
sources:
  s: { protocol: events, topic: ${prefix}.s, id: [/id] }
  race: { protocol: events, topic: ${prefix}.race, id: [/id] }
`;
  let projects: Project[];
  let gateways: Postern[];
  beforeAll(async () => {
    projects = [await makeProject({ yaml }), await makeProject({ yaml })];
    gateways = await Promise.all(
      projects.map((project) => startPostern(project, { command: ['serve', '--role', 'gateway'] })),
    );
  });
  afterAll(async () => {
    for (const gateway of gateways) gateway.kill('SIGTERM');
    for (const gateway of gateways) expect(await gateway.exited).toBe(0);
    for (const project of projects) await project.remove();
  });

  it('50 clients send the same 10,000 ids in random order and batch sizes: each is stored once, and the replies add up', async () => {
    const ids = Array.from({ length: 10_000 }, (_, i) => `id-${i}`);
    let accepted = 0;
    let sent = 0;
    const client = async (seed: number) => {
      const random = randomOf(seed);
      let left = shuffled(ids, random);
      while (left.length > 0) {
        const batch = left.slice(0, 1 + Math.floor(random() * 1000));
        const answer = await send(gateways[0]!, 's', batch);
        expect(answer.accepted + answer.duplicates + answer.rejected + answer.retry).toBe(batch.length);
        expect([answer.status, answer.rejected, answer.retry]).toEqual([202, 0, 0]);
        accepted += answer.accepted;
        sent += batch.length;
        left = left.slice(batch.length);
      }
    };
    await Promise.all(Array.from({ length: 50 }, (_, i) => client(i + 1)));
    expect([sent, accepted]).toEqual([500_000, 10_000]);
    const stored = (await readTopic(brokers, `${prefix}.s`)).map((record) => record.headers.ce_id);
    expect(stored).toHaveLength(10_000);
    expect(new Set(stored).size).toBe(10_000);
  });

  it('C31 two processes that get one id at the same instant store it once, and neither lies', async () => {
    const rounds = 1000;
    let acceptances = 0;
    for (let i = 0; i < rounds; i += 20) {
      const ids = Array.from({ length: 20 }, (_, n) => `race-${i + n}`);
      const answers = await Promise.all(
        ids.flatMap((id) => gateways.map((gateway) => send(gateway, 'race', [id]))),
      );
      for (const answer of answers) {
        expect(answer.status).toBe(answer.retry > 0 ? 503 : 202);
        acceptances += answer.accepted;
      }
    }
    expect(acceptances).toBe(rounds);
    expect(await readTopic(brokers, `${prefix}.race`)).toHaveLength(rounds);
  });
});

/** Claims in flight: their values are `owner:print`, those of stored ids are numbers. */
async function pendingClaims(url: string): Promise<number> {
  const client = new Redis(url);
  const keys = await client.keysBuffer('*');
  const values = keys.length === 0 ? [] : await client.mget(keys);
  client.disconnect();
  return values.filter((value) => value?.includes(':')).length;
}

describe('faults', () => {
  const running = new Set<Postern>();
  async function start(...args: Parameters<typeof startPostern>): Promise<Postern> {
    const postern = await startPostern(...args);
    running.add(postern);
    void postern.exited.then(() => running.delete(postern));
    return postern;
  }
  afterEach(async () => {
    for (const postern of running) {
      postern.kill('SIGKILL');
      await postern.exited;
    }
  });
  let kafka: Kafka;
  let redis: RedisServer;
  let project: Project;
  beforeAll(async () => {
    [kafka, redis] = await Promise.all([startKafka(), startRedis()]);
    project = await makeProject({
      yaml: `
log: { kafka: { brokers: ['${kafka.brokers}'], create: {} }, timeout: 4s }
dedupe: { redis: { url: '${redis.url}', timeout: 300ms }, lease: 6s, outage: refuse }
sources:
  s: { protocol: events, topic: faults, id: [/id] }
`,
    });
  });
  afterAll(async () => {
    await Promise.all([kafka.stop(), redis.stop()]);
    await project.remove();
  });

  /** Every reason that was given for not storing something. */
  const codes = new Set<string>();

  /** Sends an id until the answer is no `retry`; returns the answer. */
  async function sendUntilSettled(postern: Postern, id: string): Promise<Answer> {
    let answer: Answer | null = null;
    await expect
      .poll(
        async () => {
          answer = await send(postern, 's', [id]);
          for (const event of answer.events) for (const error of event.errors ?? []) codes.add(error.code);
          return answer.retry;
        },
        { timeout: 40_000, interval: 200 },
      )
      .toBe(0);
    return answer!;
  }

  const copies = async (id: string) =>
    (await readTopic(kafka.brokers, 'faults')).filter((record) => record.headers.ce_id === id).length;

  it('C30 with Kafka stopped the answer is 503, the id is not burnt, and the resend is accepted', async () => {
    const postern = await start(project, { command: ['serve', '--role', 'gateway'] });
    expect((await send(postern, 's', ['before'])).accepted).toBe(1);
    kafka.kill('SIGKILL');
    const refused = await send(postern, 's', ['burnt?']);
    expect([refused.status, refused.retry]).toEqual([503, 1]);
    await expect
      .poll(async () => (await fetch(`${postern.admin}/readyz`)).status, { timeout: 15_000 })
      .toBe(503);
    await kafka.restart();
    const answer = await sendUntilSettled(postern, 'burnt?');
    expect(answer.accepted + answer.duplicates).toBe(1);
    expect(await copies('burnt?')).toBe(1);
    postern.kill('SIGTERM');
    expect(await postern.exited).toBe(0);
  });

  it('C30 after a kill -9 between claim and append the resend says retry until the claim ends, then accepted', async () => {
    const first = await start(project, { command: ['serve', '--role', 'gateway'] });
    expect((await send(first, 's', ['warm'])).accepted).toBe(1);
    kafka.kill('SIGSTOP');
    const lost = send(first, 's', ['killed']).catch(() => null);
    await expect.poll(() => pendingClaims(redis.url)).toBe(1);
    first.kill('SIGKILL');
    await first.exited;
    expect(await lost).toBeNull();
    const second = await start(project, { command: ['serve', '--role', 'gateway'], early: true });
    const early = await send(second, 's', ['killed']);
    expect([early.status, early.retry]).toEqual([503, 1]);
    kafka.kill('SIGCONT');
    const answer = await sendUntilSettled(second, 'killed');
    expect(answer.accepted).toBe(1);
    second.kill('SIGTERM');
    expect(await second.exited).toBe(0);
  });

  it.each(['accept', 'refuse'] as const)(
    'C34 with Redis frozen or stopped every request is answered in time (outage: %s)',
    async (outage) => {
      codes.clear();
      const own = await startRedis();
      const other = await makeProject({
        yaml: `
log: { kafka: { brokers: ['${kafka.brokers}'], create: {} } }
dedupe: { redis: { url: '${own.url}', timeout: 300ms }, lease: 6s, outage: ${outage} }
sources:
  s: { protocol: events, topic: frozen-${outage}, id: [/id] }
`,
      });
      const postern = await start(other, { command: ['serve', '--role', 'gateway'] });
      expect((await send(postern, 's', ['warm'])).accepted).toBe(1);
      const during: string[] = [];
      const burst = async (label: string) => {
        const ids = Array.from({ length: 50 }, (_, i) => `${label}-${i}`);
        const answers = await Promise.all(ids.map((id) => send(postern, 's', [id])));
        for (const answer of answers) {
          expect(
            outage === 'accept' ? [answer.status, answer.accepted] : [answer.status, answer.retry],
          ).toEqual(outage === 'accept' ? [202, 1] : [503, 1]);
        }
        during.push(...ids);
      };
      own.kill('SIGSTOP');
      await burst('frozen');
      own.kill('SIGCONT');
      await sendUntilSettled(postern, 'thawed');
      // Claims that were written to the frozen server must not come into force afterwards: nothing is in flight.
      if (outage === 'refuse') {
        const resent = await Promise.all(during.map((id) => sendUntilSettled(postern, id)));
        expect(resent.map((answer) => answer.accepted)).toEqual(resent.map(() => 1));
        expect(codes.has('id_in_flight')).toBe(false);
      }
      const { port } = own;
      own.kill('SIGKILL');
      await own.stop();
      await burst('stopped');
      const back = await startRedis({ port });
      await sendUntilSettled(postern, 'back');
      await expect
        .poll(async () => (await send(postern, 's', ['back'])).duplicates, { timeout: 20_000 })
        .toBe(1);
      const records = await readTopic(kafka.brokers, `frozen-${outage}`);
      const unchecked = records
        .filter((record) => record.headers.ce_dedupe === 'unchecked')
        .map((record) => record.headers.ce_id!);
      if (outage === 'accept') expect(unchecked).toEqual(expect.arrayContaining(during));
      else expect(unchecked).toEqual([]);
      postern.kill('SIGTERM');
      expect(await postern.exited).toBe(0);
      await back.stop();
      await other.remove();
    },
  );
});
