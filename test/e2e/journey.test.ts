import { createRequire } from 'node:module';
import { CloudEvent, emitterFor, HTTP, httpTransport, type Message, Mode } from 'cloudevents';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';
import { runPython } from './python.ts';

const brokers = inject('kafkaBrokers');
const redis = inject('redisUrl');
const prefix = `journey-${crypto.randomUUID().slice(0, 8)}`;

let project: Project;
let postern: Postern;
beforeAll(async () => {
  project = await makeProject({
    yaml: `
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${redis}', prefix: '${prefix}:' } }
sources:
  github: { protocol: events, topic: ${prefix}.github, keys: [secret-key-of-github] }
  hard: { protocol: events, topic: ${prefix}.hard, id: [/id] }
  ce: { protocol: events, topic: ${prefix}.ce }
`,
  });
  postern = await startPostern(project);
});
afterAll(async () => {
  postern.kill('SIGTERM');
  expect(await postern.exited).toBe(0);
  await project.remove();
});

describe('real input through the real process into real Kafka', () => {
  it('stores every payload of the GitHub examples byte for byte', async () => {
    const examples = createRequire(import.meta.url)('@octokit/webhooks-examples') as {
      name: string;
      examples: unknown[];
    }[];
    const bodies = examples.flatMap(({ name, examples: list }) =>
      list.map((example) => ({ name, text: JSON.stringify(example, null, 2) })),
    );
    expect(bodies.length).toBeGreaterThan(300);
    for (let i = 0; i < bodies.length; i += 20) {
      const replies = await Promise.all(
        bodies.slice(i, i + 20).map(({ text }, n) =>
          fetch(`${postern.url}/events/github?key=secret-key-of-github`, {
            method: 'POST',
            body: text,
            headers: { 'content-type': 'application/json', 'idempotency-key': `delivery-${i + n}` },
          }),
        ),
      );
      for (const reply of replies) expect(reply.status).toBe(202);
    }
    const records = await readTopic(brokers, `${prefix}.github`);
    const values = new Map(records.map((record) => [record.headers.ce_id, record.value!.toString()]));
    expect(records).toHaveLength(bodies.length);
    bodies.forEach(({ text }, i) => expect(values.get(`delivery-${i}`)).toBe(text));
    expect(postern.output()).not.toContain('secret-key-of-github');
  });

  it('C12 stores a batch of hard JSON byte for byte, or refuses an element for the cap that it names', async () => {
    const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
    const elements = [
      '{"id":"h1","n":9007199254740993}',
      '{"id":"h2","n":1.0}',
      '{"id":"h3","n":1e400}',
      '{"id":"h4","n":1,"n":2}',
      '{"id":"h5","__proto__":{"polluted":true}}',
      '{"id":"h6","s":"\\ud83d \\u0000 \\\\u0000 \\/"}',
      `{"id":"h7","d":${nested(63)}}`,
      `{"id":"h8","d":${nested(64)}}`,
      '{"id":9007199254740993}',
      '{ "id" : "h9" ,\t"spaced" : [ 1 , 2 ] }',
      '{"id":"h10","é":"漢字 \u2028"}',
    ];
    const reply = await fetch(`${postern.url}/events/hard`, {
      method: 'POST',
      body: `[ ${elements.join(' ,\r\n ')} ]`,
      headers: { 'content-type': 'application/json' },
    });
    const body = (await reply.json()) as { events: { index: number; errors: { detail: string }[] }[] };
    expect([reply.status, body.events.map((event) => event.index)]).toEqual([207, [7]]);
    expect(body.events[0]!.errors[0]!.detail).toContain('the limit is 64');
    const values = (await readTopic(brokers, `${prefix}.hard`)).map((record) => record.value!.toString());
    expect(values.sort()).toEqual(elements.filter((_, i) => i !== 7).sort());
  });

  it('takes all three modes of the cloudevents SDK, and the SDK reads them back from Kafka', async () => {
    const events = Array.from(
      { length: 4 },
      (_, i) =>
        new CloudEvent({
          id: `js-${i}`,
          source: '/sdk/js',
          type: 'sdk.test',
          subject: 'äö %',
          data: { i, big: 'é' },
        }),
    );
    const send = emitterFor(httpTransport(`${postern.url}/events/ce`));
    await send(events[0]!, { mode: Mode.BINARY } as never);
    await emitterFor(httpTransport(`${postern.url}/events/ce`), { mode: Mode.STRUCTURED })(events[1]!);
    const batch = await fetch(`${postern.url}/events/ce`, {
      method: 'POST',
      headers: { 'content-type': 'application/cloudevents-batch+json; charset=utf-8' },
      body: JSON.stringify(events.slice(2)),
    });
    expect(batch.status).toBe(202);
    const records = await readTopic(brokers, `${prefix}.ce`);
    const read = records
      .map((record) => {
        // The SDK's own reader takes the HTTP form; the Kafka form differs in the prefix alone.
        const headers = Object.fromEntries(
          Object.entries(record.headers).map(([name, value]) => [name.replace(/^ce_/, 'ce-'), value]),
        );
        return HTTP.toEvent({ headers, body: record.value!.toString() } as Message) as CloudEvent<{
          i: number;
        }>;
      })
      .filter((event) => event.source === '/sdk/js')
      .sort((a, b) => a.id.localeCompare(b.id));
    expect(read.map(({ id, type, subject, data }) => ({ id, type, subject, data }))).toEqual(
      events.map(({ id, type, subject, data }) => ({ id, type, subject, data })),
    );
  });

  it('takes all three modes of the Python SDK', async () => {
    const output = await runPython(['cloudevents==2.2.0'], 'cloudevents-send.py', [
      `${postern.url}/events/ce`,
    ]);
    expect(output.trim()).toBe('202 202 202');
    const records = (await readTopic(brokers, `${prefix}.ce`)).filter(
      (record) => record.headers.ce_source === '/sdk/python',
    );
    expect(records.map((record) => record.headers.ce_id).sort()).toEqual([
      'py-batch-1',
      'py-batch-2',
      'py-binary',
      'py-structured',
    ]);
    for (const record of records) expect(record.value!.toString()).toContain('9007199254740993');
  });

  it('counts every event in the metrics once: received = accepted + duplicate + rejected + retry', async () => {
    const text = await (await fetch(`${postern.admin}/metrics`)).text();
    const sum = (verdict: string) =>
      [
        ...text.matchAll(
          new RegExp(`^postern_events_total\\{source="[a-z]+",verdict="${verdict}"\\} (\\d+)$`, 'gm'),
        ),
      ].reduce((n, m) => n + Number(m[1]), 0);
    const stored = (
      await Promise.all(['github', 'hard', 'ce'].map((topic) => readTopic(brokers, `${prefix}.${topic}`)))
    ).flat().length;
    expect(sum('accepted')).toBe(stored);
    expect([sum('duplicate'), sum('rejected'), sum('retry')]).toEqual([0, 1, 0]);
  });
});
