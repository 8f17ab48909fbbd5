import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kafka, startKafka } from '../services/kafka.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { readTopic } from './kafka-reader.ts';
import { makeProject, type Project, startPostern } from './postern.ts';

let kafka: Kafka;
let redis: RedisServer;
let project: Project;
beforeAll(async () => {
  [kafka, redis] = await Promise.all([startKafka(), startRedis()]);
  project = await makeProject({
    yaml: `
log: { kafka: { brokers: ['${kafka.brokers}'], create: {} }, timeout: 3s }
dedupe: { redis: { url: '${redis.url}', timeout: 20s } }
grace: 5s
sources:
  s: { protocol: events, topic: stop, id: [/id] }
`,
  });
});
afterAll(async () => {
  await Promise.all([kafka.stop(), redis.stop()]);
  await project.remove();
});

const REQUESTS = 200;

/** Posts each id on its own; resolves with the status of each, null where the connection broke. */
function postAll(url: string, label: string): Promise<[string, number | null][]> {
  return Promise.all(
    Array.from({ length: REQUESTS }, async (_, i): Promise<[string, number | null]> => {
      const id = `${label}-${i}`;
      const body = JSON.stringify({ id, filler: 'x'.repeat(100) });
      try {
        const reply = await fetch(`${url}/events/s`, {
          method: 'POST',
          body,
          headers: { 'content-type': 'application/json' },
        });
        await reply.text();
        return [id, reply.status];
      } catch {
        return [id, null];
      }
    }),
  );
}

async function buffered(admin: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Number(/^postern_buffered_bytes (\S+)$/m.exec(text)?.[1]);
}

const command = ['serve', '--role', 'gateway'];

describe('SIGTERM with requests in flight', () => {
  it('C68 answers all of them, and exactly the 2xx ones are in Kafka', async () => {
    const postern = await startPostern(project, { command });
    redis.kill('SIGSTOP');
    const replies = postAll(postern.url, 'term');
    await expect.poll(() => buffered(postern.admin)).toBeGreaterThan(REQUESTS * 100);
    postern.kill('SIGTERM');
    await expect.poll(async () => (await fetch(`${postern.admin}/readyz`)).status).toBe(503);
    redis.kill('SIGCONT');
    const answered = await replies;
    expect(await postern.exited).toBe(0);
    for (const [, status] of answered) expect([202, 503]).toContain(status);
    const acknowledged = answered.filter(([, status]) => status === 202).map(([id]) => id);
    expect(acknowledged.length).toBeGreaterThan(0);
    const stored = (await readTopic(kafka.brokers, 'stop')).map((record) => record.headers.ce_id!);
    expect(stored.filter((id) => id.startsWith('term-')).sort()).toEqual(acknowledged.sort());
    // Warnings of Node and of libraries are lines too, or not there.
    for (const line of postern.output().trim().split('\n')) expect(line).toMatch(/^\{.*\}$/);
  });

  it('C68 with Kafka out of reach answers 503 and ends within the grace time', async () => {
    const postern = await startPostern(project, { command });
    await Promise.all((await postAll(postern.url, 'warm')).map(([, status]) => expect(status).toBe(202)));
    kafka.kill('SIGSTOP');
    const replies = postAll(postern.url, 'hole');
    await expect.poll(() => buffered(postern.admin)).toBeGreaterThan(REQUESTS * 100);
    postern.kill('SIGTERM');
    for (const [, status] of await replies) expect(status).toBe(503);
    expect(await postern.exited).toBe(1);
    kafka.kill('SIGCONT');
  });

  it('C68 a second signal ends it at once', async () => {
    const postern = await startPostern(project, { command });
    redis.kill('SIGSTOP');
    const replies = postAll(postern.url, 'twice');
    await expect.poll(() => buffered(postern.admin)).toBeGreaterThan(REQUESTS * 100);
    postern.kill('SIGTERM');
    await expect.poll(async () => (await fetch(`${postern.admin}/readyz`)).status).toBe(503);
    postern.kill('SIGTERM');
    expect(await postern.exited).toBe(1);
    redis.kill('SIGCONT');
    await replies;
  });
});
