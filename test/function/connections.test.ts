import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { Answer } from '../../src/function/answer.ts';
import { rawFunction } from '../dispatcher/functions.ts';
import { stored } from '../dispatcher/records.ts';
import { numbered, Rig, subscription, TestFunction } from '../dispatcher/rig.ts';
import { call, invoker, open, serve } from './calls.ts';

const IDLE_MS = 30;

test('C52 a server that closes idle connections while we call costs no event an attempt', async () => {
  const rig = new Rig();
  await rig.open();
  open.push(rig);
  // It does not say how long it waits, so that we cannot know.
  const server = await rawFunction((socket) => {
    let idle: NodeJS.Timeout | undefined;
    let request = '';
    socket.on('data', (bytes) => {
      clearTimeout(idle);
      request += bytes;
      const length = /content-length: (\d+)/i.exec(request)?.[1];
      const end = request.indexOf('\r\n\r\n') + 4;
      if (length === undefined || end < 4 || request.length < end + Number(length)) return;
      request = '';
      socket.write('HTTP/1.1 204 No Content\r\n\r\n');
      idle = setTimeout(() => socket.destroy(), IDLE_MS);
    });
    socket.on('close', () => clearTimeout(idle));
  });
  open.push(server);
  const target = Object.assign(new TestFunction(), { server });
  await rig.start([subscription(target, { concurrency: 1, retry: { attempts: 1, min: 1, max: 1 } })]);
  const ids = numbered(60);
  for (const [i, id] of ids.entries()) {
    await rig.append([id]);
    await rig.facts.until(() => rig.facts.events('delivered') + rig.facts.events('dead_letter') === i + 1);
    // As long as the server waits, a little less or a little more.
    await pause(IDLE_MS - 4 + (i % 9));
  }
  expect(rig.facts.events('delivered')).toBe(ids.length);
  for (const reason of rig.facts.reasons('retry')) expect(reason).toBe('stale_connection');
});

test('C53 thousands of answers that nobody reads leave no connection and no memory behind', {
  tags: ['slow'],
}, async () => {
  const PLACES = 8;
  const large = Buffer.alloc(1_000_000, 'x');
  const kinds = ['error', 'chunked', 'nothing', 'gzip', 'headers', 'fine', 'event', 'list'];
  const server = await serve((request, response) => {
    const kind = request.headers['ce-kind'];
    request.resume();
    if (kind === 'error') response.writeHead(503, { 'content-length': large.length }).end(large);
    else if (kind === 'chunked') response.writeHead(500).end(large);
    else if (kind === 'nothing') response.writeHead(204).end();
    else if (kind === 'gzip')
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(large.subarray(60_000));
    else if (kind === 'headers') response.writeHead(200, { 'x-long': 'x'.repeat(100_000) }).end();
    else if (kind === 'event') response.writeHead(200, { 'ce-id': 'x' }).end(large);
    else response.end('OK');
  });
  const target = invoker(server.url, {}, { concurrency: PLACES, wantsReply: true });
  let most = 0;
  async function round(calls: number): Promise<Answer[]> {
    const answers: Answer[] = [];
    const place = async (n: number) => {
      for (let i = 0; i < calls / PLACES; i++) {
        const record = stored('1', { ce_kind: kinds[(n + i) % kinds.length]! });
        answers.push({ ...(await call(target, [record])), reply: null });
        most = Math.max(most, server.open());
      }
    };
    await Promise.all(Array.from({ length: PLACES }, (_, n) => place(n)));
    return answers;
  }
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  await round(800);
  const before = used();
  const answers = await round(3_200);
  expect(answers).toHaveLength(3_200);
  expect(answers.filter(({ fault }) => fault === 'bad_reply')).toHaveLength(400);
  expect(answers.filter(({ status }) => status === 503)).toHaveLength(400);
  answers.length = 0;
  expect(used() - before).toBeLessThan(8_000_000);
  // Those that are being closed are counted too.
  expect(most).toBeLessThanOrEqual(4 * PLACES);
});
