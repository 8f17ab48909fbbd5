import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, describe, expect, inject, it } from 'vitest';
import { readTopic } from './kafka-reader.ts';
import { MAIN, makeProject, type Postern, type Project, runPostern, startPostern } from './postern.ts';

/** A function that takes no event whose id `refuses` names, and keeps the ids of those that it took. */
class Target {
  refuses: (id: string) => boolean = () => false;
  readonly taken: string[] = [];
  readonly calls: string[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      request.resume();
      request.on('end', () => {
        const id = String(request.headers['ce-id']);
        this.calls.push(id);
        if (this.refuses(id)) response.writeHead(422).end(`no \u001b[31mroom for ${id}`);
        else {
          this.taken.push(id);
          response.writeHead(204).end();
        }
      });
    });
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

const targets: Target[] = [];
const projects: Project[] = [];
const running = new Set<Postern>();

async function target(): Promise<Target> {
  const made = await new Target().start();
  targets.push(made);
  return made;
}

async function start(project: Project, role: string): Promise<Postern> {
  const postern = await startPostern(project, { command: ['serve', '--role', role] });
  running.add(postern);
  void postern.exited.then(() => running.delete(postern));
  return postern;
}

async function stop(postern: Postern): Promise<void> {
  postern.kill('SIGTERM');
  expect(await postern.exited).toBe(0);
}

async function post(postern: Postern, ids: string[]): Promise<void> {
  const reply = await fetch(`${postern.url}/events/s`, {
    method: 'POST',
    body: JSON.stringify(ids.map((id) => ({ id, about: 'grün' }))),
    headers: { 'content-type': 'application/json' },
  });
  expect(reply.status).toBe(202);
}

async function deadLetterCount({ admin }: Postern, subscription: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith('postern_dead_letters_total{'));
  const ours = lines.filter((line) => line.includes(`subscription="${subscription}"`));
  return ours.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Runs a dead-letters or replay command on a project; it must end with the code. */
async function command(project: Project, args: string[], code = 0): Promise<string> {
  const result = await runPostern([...args, '--config', project.config]);
  expect([args, result.code, result.output]).toEqual([args, code, result.output]);
  return result.output.trimEnd();
}

/** The same with `--json`: its last line, as there may be a warning before it. */
async function commandJson(project: Project, args: string[]) {
  return JSON.parse((await command(project, [...args, '--json'])).split('\n').at(-1)!);
}

const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `e-${from + i}`);
const sorted = (ids: string[]) => [...ids].sort();

const LONG = 240_000;

afterEach(() => {
  for (const postern of running) postern.kill('SIGKILL');
  for (const one of targets.splice(0)) one.close();
});
afterAll(async () => {
  for (const project of projects) await project.remove();
});

describe('dead letters in the embedded log', () => {
  it(
    'one event of 100 that is refused is listed, shown, and sent again to its subscription only, once',
    async () => {
      const [mail, other] = [await target(), await target()];
      const project = await makeProject({
        yaml: `
log: { embedded: { path: data } }
dedupe: { embedded: { path: data } }
sources:
  s: { protocol: events, topic: orders, id: [/id], type: shop.order }
subscriptions:
  mail: { topics: [orders], function: { http: { url: '${mail.url}' } } }
  other: { topics: [orders], function: { http: { url: '${other.url}' } } }
`,
      });
      projects.push(project);
      mail.refuses = (id) => id === 'e-57';
      const first = await start(project, 'gateway,dispatcher');
      await post(first, numbered(100));
      await expect.poll(() => mail.taken.length + other.taken.length).toBe(199);
      await expect.poll(() => deadLetterCount(first, 'mail')).toBe(1);
      // One process at a time has the embedded log.
      expect(await command(project, ['dead-letters', 'list', '--subscription', 'mail'], 2)).toMatch(
        /in use by/,
      );
      await stop(first);

      expect(await command(project, ['dead-letters', 'list'], 2)).toContain('must be one of mail, other');
      const list = await command(project, ['dead-letters', 'list', '--subscription', 'mail']);
      expect(list).toMatch(
        /^PLACE {2}TIME {22}ID {4}TYPE {8}REASON {3}STATUS {2}ATTEMPTS {2}REDRIVEN\n0:0 {4}\d{4}-[\dT:.-]+Z {2}e-57 {2}shop\.order {2}refused {2}422 {5}1 {9}-\n\n1 dead letter of mail in mail\.dead: 1 refused; redriven: 0$/,
      );
      const show = await command(project, ['dead-letters', 'show', '0:0', '--subscription', 'mail']);
      expect(show).toMatch(/^place {5}0:0 of mail\.dead\n/);
      expect(show).toMatch(/\nresponse {2}HTTP 422: no {2}\[31mroom for e-57\n/);
      expect(show).toMatch(/\norigin {4}0:57 of orders, \d{4}-/);
      expect(show).toMatch(/\n {2}ce_id: e-57\n/);
      expect(show).toMatch(/\npayload, 29 bytes\n\{"id":"e-57","about":"grün"\}$/);
      // Nothing that would steer a terminal.
      expect(show).not.toContain('\u001b');
      expect(await command(project, ['dead-letters', 'show', '0:9', '--subscription', 'mail'], 1)).toBe(
        'there is no dead letter of mail at 0:9 of mail.dead',
      );
      expect(await commandJson(project, ['dead-letters', 'list', '--subscription', 'mail'])).toMatchObject({
        place: '0:0',
        id: 'e-57',
        status: 422,
        redriven: false,
      });

      const redrive = (...more: string[]) =>
        command(project, ['dead-letters', 'redrive', '--subscription', 'mail', ...more]);
      expect(await redrive('--dry-run')).toBe('1 dead letter would be sent to mail again');
      expect(await redrive('--filter', 'letter.status == 500')).toBe(
        '0 dead letters sent to mail again, through the topic mail.redrive\n1 do not match the filter',
      );
      expect(await redrive('--filter', 'letter.status == 422 && event.id == "e-57"')).toBe(
        '1 dead letter sent to mail again, through the topic mail.redrive',
      );
      expect(await redrive()).toBe(
        '0 dead letters sent to mail again, through the topic mail.redrive\n1 sent by an earlier redrive',
      );
      expect(await command(project, ['dead-letters', 'list', '--subscription', 'mail'])).toMatch(
        / yes\n\n.*redriven: 1$/s,
      );

      mail.refuses = () => false;
      const second = await start(project, 'gateway,dispatcher');
      await post(second, ['last']);
      await expect.poll(() => [mail.taken.length, other.taken.length]).toEqual([101, 101]);
      await stop(second);
      expect(sorted(mail.taken)).toEqual(sorted([...numbered(100), 'last']));
      expect(sorted(other.taken)).toEqual(sorted([...numbered(100), 'last']));

      // A replay of everything, to one of them.
      const replay = ['replay', '--subscription', 'mail', '--from', '2020-01-01'];
      expect(await commandJson(project, replay)).toEqual({
        finished: true,
        group: 'postern.mail.replay.2020-01-01T00:00:00.000Z',
        delivered: 101,
        filtered: 0,
        deadLetters: 0,
      });
      expect([mail.taken.length, other.taken.length]).toEqual([202, 101]);
    },
    LONG,
  );
});

describe('dead letters in Kafka', () => {
  const brokers = inject('kafkaBrokers');

  it(
    'are sent again once each, though the redrive is killed in the middle and run again, while all goes on',
    async () => {
      const prefix = `redrive-${crypto.randomUUID().slice(0, 8)}`;
      const [mail, other] = [await target(), await target()];
      const subscription = (name: string, url: string) => `
  ${name}:
    group: ${prefix}.${name}
    topics: [${prefix}.orders]
    function: { http: { url: '${url}' } }
    deadLetter: ${prefix}.${name}.dead
    redrive: ${prefix}.${name}.redrive`;
      const project = await makeProject({
        yaml: `
log: { kafka: { brokers: ['${brokers}'], create: { partitions: 3 } } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' } }
sources:
  s: { protocol: events, topic: ${prefix}.orders, id: [/id], key: /id }
subscriptions:${subscription('mail', mail.url)}${subscription('other', other.url)}
`,
      });
      projects.push(project);
      mail.refuses = (id) => Number(id.slice(2)) < 200;
      const postern = await start(project, 'gateway,dispatcher');
      await post(postern, numbered(220));
      await expect.poll(() => deadLetterCount(postern, 'mail')).toBe(200);
      await expect.poll(async () => (await readTopic(brokers, `${prefix}.mail.dead`)).length).toBe(200);
      mail.refuses = () => false;

      const redrive = ['dead-letters', 'redrive', '--subscription', 'mail'];
      const slow = spawn(process.execPath, [MAIN, ...redrive, '--rate', '20', '--config', project.config]);
      const ended = once(slow, 'exit');
      await expect.poll(() => mail.taken.length).toBeGreaterThan(20 + 10);
      slow.kill('SIGKILL');
      expect((await ended)[1]).toBe('SIGKILL');
      const before = mail.taken.length - 20;
      expect(before).toBeLessThan(200);

      const limited = await commandJson(project, [...redrive, '--limit', '7']);
      expect(limited.sent).toBe(7);
      const rest = await commandJson(project, redrive);
      expect(rest).toMatchObject({ sent: 200 - rest.already, cut: 0, failed: 0, foreign: 0 });
      expect(rest.already).toBeGreaterThanOrEqual(before);
      expect(await commandJson(project, redrive)).toMatchObject({
        sent: 0,
        already: 200,
      });
      await expect.poll(() => mail.taken.length).toBe(220);
      await post(postern, ['after']);
      await expect.poll(() => mail.taken.includes('after') && other.taken.includes('after')).toBe(true);
      expect(sorted(mail.taken)).toEqual(sorted([...numbered(220), 'after']));
      expect(sorted(other.taken)).toEqual(sorted([...numbered(220), 'after']));
      const records = await readTopic(brokers, `${prefix}.mail.redrive`);
      expect(records.length).toBe(200);
      const [one] = records;
      expect(one!.headers.postern_lineage).toMatch(new RegExp(`^${prefix}\\.mail\\.dead/\\d/\\d+@\\d{4}-`));
      expect(one!.headers).not.toHaveProperty('postern_reason');
      const list = await command(project, ['dead-letters', 'list', '--subscription', 'mail', '--limit', '2']);
      expect(list.split('\n').length).toBe(6);
      expect(list).toContain('200 refused; redriven: 200\nthe newest 2 are shown');
      await stop(postern);
    },
    LONG,
  );

  it(
    'a replay calls the function again with the events of a time, and goes on when it is killed',
    async () => {
      const prefix = `replay-${crypto.randomUUID().slice(0, 8)}`;
      const mail = await target();
      const project = await makeProject({
        yaml: `
log: { kafka: { brokers: ['${brokers}'], create: { partitions: 3 } } }
dedupe: { redis: { url: '${inject('redisUrl')}', prefix: '${prefix}:' } }
sources:
  s: { protocol: events, topic: ${prefix}.orders, id: [/id], key: /id }
subscriptions:
  mail:
    group: ${prefix}.mail
    topics: [${prefix}.orders]
    function: { http: { url: '${mail.url}' } }
    concurrency: 2
    deadLetter: ${prefix}.mail.dead
    redrive: ${prefix}.mail.redrive
`,
      });
      projects.push(project);
      const postern = await start(project, 'gateway,dispatcher');
      await post(postern, numbered(10));
      await expect.poll(() => mail.taken.length).toBe(10);
      const from = new Date().toISOString();
      await post(postern, numbered(500, 10));
      await expect.poll(() => mail.taken.length).toBe(510);
      await stop(postern);

      const replay = ['replay', '--from', from];
      const killed = spawn(process.execPath, [MAIN, ...replay, '--config', project.config]);
      const ended = once(killed, 'exit');
      await expect.poll(() => mail.taken.length, { interval: 5 }).toBeGreaterThan(520);
      killed.kill('SIGKILL');
      await ended;
      const result = await commandJson(project, replay);
      expect(result).toMatchObject({ finished: true, filtered: 0, deadLetters: 0 });
      // Only what was in work when it was killed is delivered twice.
      expect(new Set(mail.taken.slice(510))).toEqual(new Set(numbered(500, 10)));
      expect(await commandJson(project, replay)).toMatchObject({ delivered: 0 });
    },
    LONG,
  );
});
