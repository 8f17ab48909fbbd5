import { createHmac } from 'node:crypto';
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import * as octokit from '@octokit/webhooks-methods';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { Webhook as SvixWebhook } from 'svix';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { type ReadRecord, readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, runPostern, startPostern } from './postern.ts';

const brokers = inject('kafkaBrokers');
const redis = inject('redisUrl');
const prefix = `webhooks-${crypto.randomUUID().slice(0, 8)}`;
const secret = (letter: string) => `whsec_${Buffer.from(letter.repeat(32)).toString('base64')}`;
const [NEW, OLD, OTHER] = [secret('n'), secret('o'), secret('x')];

let project: Project;
let postern: Postern;
beforeAll(async () => {
  const source = (name: string, scheme: string, ...secrets: string[]) =>
    `  ${name}: { protocol: webhook, topic: ${prefix}.${name}, verify: { scheme: ${scheme}, secrets: [${secrets.join(', ')}] } }`;
  project = await makeProject({
    yaml: `
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${redis}', prefix: '${prefix}:' } }
sources:
${source('standard', 'standard', NEW, OLD)}
${source('svix', 'svix', NEW, OLD)}
${source('stripe', 'stripe', NEW, OLD)}
${source('github', 'github', NEW, OLD)}
`,
  });
  postern = await startPostern(project);
});
afterAll(async () => {
  postern.kill('SIGTERM');
  expect(await postern.exited).toBe(0);
  await project.remove();
});

type Body = string | Uint8Array<ArrayBuffer>;
type Sent = Record<string, string>;

async function post(source: string, body: Body, headers: Sent) {
  const reply = await fetch(`${postern.url}/webhooks/${source}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { status: reply.status, text: await reply.text() };
}
const ids = (records: ReadRecord[]) => records.map(({ headers }) => headers.ce_id);
const accepted = (n: number) => ({
  status: 202,
  text: expect.stringContaining(`"accepted":${n},`) as string,
});
const duplicate = { status: 202, text: expect.stringContaining('"duplicates":1,') as string };

/** Signs a body as the provider's own library does: `id` is the delivery's, or in the body. */
interface Signer {
  source: string;
  body: string;
  sign(key: string, id: string, time: Date): Sent | Promise<Sent>;
  timed: boolean;
  id(given: string): string;
}

const BODY =
  '{ "id":"evt_9","type":"invoice.paid","n":9007199254740993,\r\n"s":"\\/ \u2028","f":1.0,"n":1 }\n';
const unix = (time: Date) => Math.floor(time.getTime() / 1000);
const SIGNERS: Signer[] = [
  {
    source: 'standard',
    body: BODY,
    sign: (key, id, time) => ({
      'webhook-id': id,
      'webhook-timestamp': String(unix(time)),
      'webhook-signature': new StandardWebhook(key).sign(id, time, BODY),
    }),
    timed: true,
    id: (given) => given,
  },
  {
    source: 'svix',
    body: BODY,
    sign: (key, id, time) => ({
      'svix-id': id,
      'svix-timestamp': String(unix(time)),
      'svix-signature': new SvixWebhook(key).sign(id, time, BODY),
    }),
    timed: true,
    id: (given) => given,
  },
  {
    source: 'stripe',
    body: BODY,
    sign: (key, _id, time) => ({
      'stripe-signature': Stripe.webhooks.generateTestHeaderString({
        payload: BODY,
        secret: key,
        timestamp: unix(time),
      }),
    }),
    timed: true,
    id: () => 'evt_9',
  },
  {
    source: 'github',
    body: BODY,
    sign: async (key, id) => ({
      'x-hub-signature-256': await octokit.sign(key, BODY),
      'x-github-delivery': id,
      'x-github-event': 'push',
    }),
    timed: false,
    id: (given) => given,
  },
];
const MINUTE = 60_000;
const ago = (ms: number) => new Date(Date.now() - ms);

for (const { source, body, sign, timed, id } of SIGNERS) {
  it(`C60 C61 C62 ${source}: stored once as signed by its own library, and not at all otherwise`, async () => {
    const headers = await sign(NEW, 'one', ago(0));
    expect(await post(source, body, headers)).toEqual(accepted(1));
    // The very same request, and one that the provider signed anew for the same delivery.
    expect(await post(source, body, headers)).toEqual(duplicate);
    expect(await post(source, body, await sign(OLD, 'one', ago(4.9 * MINUTE)))).toEqual(duplicate);
    const name = Object.keys(headers).find((header) => header.includes('signature'))!;
    const { [name]: value, ...unsigned } = headers;
    const bad: Sent[] = [
      {},
      unsigned,
      { ...headers, [name]: '' },
      { ...headers, [name]: `${value}, ${value}` },
      { ...headers, [name]: value!.slice(0, -2) },
      await sign(OTHER, 'two', ago(0)),
      ...(timed
        ? [await sign(NEW, 'three', ago(5.1 * MINUTE)), await sign(NEW, 'four', ago(-10 * MINUTE))]
        : []),
    ];
    const refused = await Promise.all(bad.map((sent) => post(source, body, sent)));
    refused.push(await post(source, body.trim(), headers));
    expect(new Set(refused.map(({ text }) => text)).size).toBe(1);
    expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 401));
    const records = await readTopic(brokers, `${prefix}.${source}`);
    expect(ids(records)).toEqual([id('one')]);
    expect(records[0]!.value!.toString()).toBe(body);
  });
}

it('C60 C63 takes a compressed delivery, signed as sent, and the form that GitHub may send', async () => {
  const text = '{"zipped":1.0}';
  const zip = new Uint8Array(gzipSync(text));
  const time = ago(0);
  // The libraries sign text alone.
  const signed = createHmac('sha256', Buffer.from('n'.repeat(32)))
    .update(`zip.${unix(time)}.`)
    .update(zip);
  const sent = {
    'content-encoding': 'gzip',
    'svix-id': 'zip',
    'svix-timestamp': String(unix(time)),
    'svix-signature': `v1,${signed.digest('base64')}`,
  };
  expect(await post('svix', zip, sent)).toEqual(accepted(1));
  const json = '{"action":"opened","n":1.0}';
  const form = `payload=${encodeURIComponent(json)}`;
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    'x-hub-signature-256': await octokit.sign(NEW, form),
    'x-github-delivery': 'form',
    'x-github-event': 'issues',
  };
  expect(await post('github', form, headers)).toEqual(accepted(1));
  const value = async (source: string, id: string) =>
    (await readTopic(brokers, `${prefix}.${source}`))
      .find((record) => record.headers.ce_id === id)!
      .value!.toString();
  expect([await value('svix', 'zip'), await value('github', 'form')]).toEqual([text, json]);
});

it('stores an example of every event of GitHub with its type, and its redelivery never', async () => {
  const examples = createRequire(import.meta.url)('@octokit/webhooks-examples') as {
    name: string;
    examples: { action?: string }[];
  }[];
  const sent = examples.map(({ name, examples: [first] }) => ({
    name,
    type: first!.action === undefined ? `github.${name}` : `github.${name}.${first!.action}`,
    body: JSON.stringify(first, null, 2),
  }));
  expect(sent.length).toBeGreaterThan(50);
  const deliver = async ({ name, body }: (typeof sent)[number]) =>
    post('github', body, {
      'x-hub-signature-256': await octokit.sign(OLD, body),
      'x-github-delivery': `example-${name}`,
      'x-github-event': name,
    });
  for (const reply of await Promise.all(sent.map(deliver))) expect(reply).toEqual(accepted(1));
  for (const reply of await Promise.all(sent.map(deliver))) expect(reply).toEqual(duplicate);
  const records = (await readTopic(brokers, `${prefix}.github`)).filter(({ headers }) =>
    headers.ce_id!.startsWith('example-'),
  );
  const found = records.map(({ headers, value }) => ({
    id: headers.ce_id!,
    type: headers.ce_type!,
    body: value!.toString(),
  }));
  const wanted = sent.map(({ name, type, body }) => ({ id: `example-${name}`, type, body }));
  const byId = (a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id);
  expect(found.sort(byId)).toEqual(wanted.sort(byId));
});

it('C62 counts by secret and by reason, and logs no secret', async () => {
  const metrics = await (await fetch(`${postern.admin}/metrics`)).text();
  const count = (source: string, result: string) =>
    Number(
      new RegExp(`^postern_signatures_total\\{source="${source}",result="${result}"\\} (\\d+)$`, 'm').exec(
        metrics,
      )?.[1],
    );
  expect(count('stripe', 'secret-1')).toBe(2);
  expect(count('stripe', 'secret-2')).toBe(1);
  expect(count('stripe', 'missing')).toBe(3);
  expect(count('stripe', 'expired')).toBe(2);
  expect(count('stripe', 'mismatch')).toBeGreaterThan(0);
  expect(count('github', 'secret-2')).toBeGreaterThan(100);
  for (const key of [NEW, OLD, OTHER]) expect(postern.output()).not.toContain(key.slice(6));
});

it('postern try tells what a webhook would become', async () => {
  const { code, output } = await runPostern(['try', '--source', 'stripe', '--config', project.config], BODY);
  expect(output).toContain('type    stripe.invoice.paid');
  expect(output).toContain(`topic   ${prefix}.stripe`);
  expect(code).toBe(0);
});
