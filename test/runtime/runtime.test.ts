import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type ReadRecord, readTopic } from '../e2e/kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from '../e2e/postern.ts';
import { EXCHANGES, SCHEMAS, sourcesFor, TOPICS } from './exchanges.ts';
import { buildBundle, startWorker, type Worker } from './worker.ts';

const brokers = inject('kafkaBrokers');
const redis = inject('redisUrl');
const prefix = `runtime-${crypto.randomUUID().slice(0, 8)}`;
const RUNTIMES = ['node', 'edge'] as const;

let project: Project;
let origin: Postern;
let worker: Worker;
beforeAll(async () => {
  project = await makeProject({
    yaml: `
log: { kafka: { brokers: ['${brokers}'], create: { partitions: 1, replication: 1 } } }
dedupe: { redis: { url: '${redis}', prefix: '${prefix}:' } }
${sourcesFor(prefix)}`,
    schemas: SCHEMAS,
  });
  const [started, bundle] = await Promise.all([startPostern(project), buildBundle(project)]);
  origin = started;
  worker = await startWorker(bundle, { EDGE_ORIGIN: origin.url });
}, 120_000);
afterAll(async () => {
  await worker?.stop();
  origin?.kill('SIGTERM');
  await origin?.exited;
  await project?.remove();
});

/** What a client sees that must be the same everywhere. */
const HEADERS = [
  'content-type', 'cache-control', 'retry-after', 'www-authenticate', 'allow', 'accept-post', 'vary', 'etag',
  'access-control-allow-origin', 'access-control-allow-methods', 'access-control-allow-headers',
  'access-control-allow-credentials', 'access-control-expose-headers', 'access-control-max-age',
  'webhook-allowed-origin', 'webhook-allowed-rate', 'preference-applied', 'cross-origin-resource-policy',
]; // biome-ignore format: a list

interface Answer {
  status: number;
  headers: Record<string, string | null>;
  body: string;
}
const answers = new Map<string, Answer>();

/** Makes ids of both runs the same. */
const untagged = (text: string) =>
  text
    .replaceAll(/\b(node|edge)-(?=[a-z0-9])/g, 'run-')
    .replaceAll(/\b[0-9a-f]{64}\b/g, 'digest')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'host');

describe.each(RUNTIMES)('on %s', (runtime) => {
  const tag = runtime;

  it.each(EXCHANGES)('$name', async ({ name, send, status, body }) => {
    const { path, method, headers = {}, body: sent = null } = send(tag);
    const url = runtime === 'node' ? origin.url : worker.url;
    const response = await fetch(url + path, {
      method: method ?? (sent === null ? 'GET' : 'POST'),
      headers,
      body: sent,
    });
    const text = Buffer.from(await response.arrayBuffer()).toString('latin1');
    expect([response.status, text.slice(0, 300)]).toEqual([status, expect.anything()]);
    if (body !== undefined) expect(JSON.parse(text)).toMatchObject(body);
    answers.set(`${runtime} ${name}`, {
      status: response.status,
      headers: Object.fromEntries(HEADERS.map((header) => [header, response.headers.get(header)])),
      body: untagged(text),
    });
  });
});

describe('both', () => {
  it.each(EXCHANGES.filter(({ ownWords }) => ownWords === undefined))('say the same: $name', ({ name }) => {
    expect(answers.get(`edge ${name}`)).toEqual(answers.get(`node ${name}`));
  });

  /** Records of a run, without what each request has of its own: times, and ids that are made. */
  function recordsOf(records: ReadRecord[], tag: string): string[] {
    const mine = ({ value, headers }: ReadRecord) =>
      headers.ce_id?.includes(tag) || value?.toString().includes(`${tag}`);
    return records.filter(mine).map(({ key, value, headers }) => {
      const { ce_time, ce_id, ...others } = headers;
      // Of what has no other id it is a digest of the data.
      const id = ce_id?.replace(/[0-9a-f]{16,64}$/, 'digest');
      const text = [key?.toString('latin1') ?? null, value?.toString('latin1') ?? null, id];
      return JSON.stringify([...text, Object.entries(others).sort()])
        .replaceAll(tag, 'run')
        .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, 'now');
    });
  }

  it('store the same records, payloads byte for byte', async () => {
    let total = 0;
    for (const topic of TOPICS) {
      const records = await readTopic(brokers, `${prefix}.${topic}`);
      const [onNode, atEdge] = RUNTIMES.map((tag) => recordsOf(records, tag).sort());
      expect(atEdge).toEqual(onNode);
      total += onNode!.length;
    }
    expect(total).toBeGreaterThan(30);
    const [first] = await readTopic(brokers, `${prefix}.s`);
    expect(first!.value!.toString()).toBe(
      ' { "id":"node-1", "n":9007199254740993, "n":1.0, "é":"\\u00e9" } ',
    );
  });

  it('keep what is refused beside what is stored', async () => {
    const records = await readTopic(brokers, `${prefix}.typed.rejected`);
    const kept = records.map(({ value }) => value!.toString());
    for (const tag of RUNTIMES) expect(kept).toContain(`{"id":"${tag}-2","n":-1}`);
  });
});
