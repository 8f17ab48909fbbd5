import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { freePort } from '../services/free-port.ts';
import { makeProject, runPostern, startPostern } from './postern.ts';

const root = join(import.meta.dirname, '..', '..');

describe('postern dev', () => {
  it('takes events with nothing else installed, and the sample function prints each accepted one once', async () => {
    const sample = await readFile(join(root, 'postern.yaml'), 'utf8');
    const functionPort = await freePort();
    const project = await makeProject({ yaml: '' });
    const yaml = sample
      .replaceAll('127.0.0.1:8082', `127.0.0.1:${functionPort}`)
      .replaceAll(/listen: \S+:8081/g, `listen: 127.0.0.1:${project.adminPort}`)
      .replaceAll('./schemas', join(root, 'schemas'));
    await writeFile(project.config, `${yaml}\ngateway: { listen: 127.0.0.1:${project.port} }\n`);
    const postern = await startPostern(project, { command: ['dev'] });
    const post = async (body: string) => {
      const reply = await fetch(`${postern.url}/events/sensors`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      });
      return {
        status: reply.status,
        body: (await reply.json()) as {
          accepted: number;
          duplicates: number;
          events: { errors: { pointer: string }[] }[];
        },
      };
    };
    const reading = (seq: number | string) =>
      JSON.stringify({
        deviceId: 'dev-1',
        seq,
        ts: '2026-11-25T08:00:00Z',
        readings: { temperature: { value: 21.5, unit: 'Cel' } },
      });
    expect(await post(reading(1))).toMatchObject({ status: 202, body: { accepted: 1 } });
    expect(await post(reading(1))).toMatchObject({ status: 202, body: { accepted: 0, duplicates: 1 } });
    const broken = await post(reading('two'));
    expect([broken.status, broken.body.events[0]!.errors[0]!.pointer]).toEqual([422, '#/seq']);
    expect(await post(reading(3))).toMatchObject({ status: 202, body: { accepted: 1 } });
    const printed = () =>
      postern
        .output()
        .split('\n')
        .filter((line) => line.startsWith('sample function got'));
    await expect.poll(() => printed().length).toBe(2);
    postern.kill('SIGTERM');
    expect(await postern.exited).toBe(0);
    expect(printed().map((line) => line.split(' ')[4])).toEqual(['dev-1:1:', 'dev-1:3:']);
    // The next start does not deliver the same events again.
    const again = await startPostern(project, { command: ['dev'] });
    const reply = await fetch(`${again.url}/events/sensors`, {
      method: 'POST',
      body: reading(4),
      headers: { 'content-type': 'application/json' },
    });
    expect(reply.status).toBe(202);
    const printedAgain = () =>
      again
        .output()
        .split('\n')
        .filter((line) => line.startsWith('sample function got'));
    await expect.poll(() => printedAgain().length).toBe(1);
    again.kill('SIGTERM');
    expect(await again.exited).toBe(0);
    expect(printedAgain()[0]).toContain('dev-1:4:');
    await project.remove();
  });
});

describe('postern check', () => {
  it('passes the sample config', async () => {
    expect(await runPostern(['check', '--config', join(root, 'postern.yaml')])).toEqual({
      code: 0,
      output: expect.stringContaining('is good'),
    });
  });

  it('names five different mistakes with their lines', async () => {
    const project = await makeProject({ yaml: '' });
    const lines = [
      'log: { embedded: { path: data } }',
      'dedupe: { embedded: { path: data }, window: 24 hours }',
      'schemas: ./schemas',
      'sources:',
      '  web: { protocol: events, topic: "bad topic", id: [/id], schema: missing }',
      '  two: { protocol: events, topic: two, keys: ["${NOT_SET_ANYWHERE}"], retires: 3 }',
      'subscriptions:',
      '  f:',
      '    topics: [two]',
      '    filter: event.type ==',
      '    function: { http: { url: "http://127.0.0.1:1/" } }',
    ];
    await writeFile(project.config, `${lines.join('\n')}\n`);
    const { code, output } = await runPostern(['check', '--config', project.config]);
    expect(code).toBe(1);
    const at = (line: number) =>
      output
        .split('\n')
        .filter((text) => text.startsWith('error') && text.includes(`postern.yaml:${line} `))
        .join('\n');
    expect(at(2)).toContain('/dedupe/window');
    expect(at(5)).toContain('/sources/web/topic');
    expect(at(5)).toContain('/sources/web/schema');
    expect(at(6)).toContain('NOT_SET_ANYWHERE');
    expect(at(6)).toContain('retires');
    expect(at(10)).toContain('/subscriptions/f/filter');
    await project.remove();
  });

  it('says what is wrong with the command line', async () => {
    for (const args of [
      ['serve', '--role', 'nobody'],
      ['fly'],
      ['check', '--config', '/does/not/exist.yaml'],
      ['check', '--nope'],
    ]) {
      const { code, output } = await runPostern(args);
      expect([args, code, output.split('\n')[0]]).toEqual([args, 2, expect.stringMatching(/^postern: /)]);
      expect(output).not.toContain('    at ');
    }
  });
});

describe('postern try', () => {
  it('shows what would become of a payload, and writes nothing', async () => {
    const config = join(root, 'postern.yaml');
    const payload = JSON.stringify([
      { deviceId: 'dev-1', seq: 1, ts: '2026-11-25T08:00:00Z', readings: { temperature: 1 } },
      { deviceId: 'dev-1' },
    ]);
    const { code, output } = await runPostern(['try', '--source', 'sensors', '--config', config], payload);
    expect(code).toBe(1);
    expect(output).toContain('2 events');
    expect(output).toMatch(
      /event 0: accepted\n {2}id {6}dev-1:1\n {2}type {4}sensor\.reading\n {2}topic {3}sensors\n {2}key {5}dev-1\n {2}goes to print/,
    );
    expect(output).toMatch(/event 1: rejected[\s\S]*#\/seq/);
    expect((await runPostern(['try', '--source', 'nobody', '--config', config], payload)).code).toBe(1);
    await rm(join(root, '.postern'), { recursive: true, force: true });
  });

  it('reads calls of Segment SDKs and webhooks as their routes would', async () => {
    const config = join(root, 'postern.yaml');
    const run = (source: string, payload: unknown) =>
      runPostern(['try', '--source', source, '--config', config], JSON.stringify(payload));
    const batch = {
      context: { library: { name: 'l' } },
      batch: [
        { type: 'track', event: 'Order Completed', userId: 'u-1', messageId: 'm-1' },
        { type: 'track', userId: 'u-1', messageId: 'm-2' },
      ],
    };
    const calls = await run('shop', batch);
    expect(calls.code).toBe(1);
    expect(calls.output).toMatch(/event 0: accepted\n {2}id {6}m-1\n {2}type {4}segment\.track/);
    expect(calls.output).toMatch(/event 1: rejected[\s\S]*#\/event/);
    const one = await run('shop', { type: 'page', anonymousId: 'a-1', messageId: 'm-3' });
    expect(one).toMatchObject({ code: 0, output: expect.stringContaining('segment.page') });
    const hook = await run('hooks', { action: 'opened' });
    expect(hook).toMatchObject({ code: 0, output: expect.stringContaining('topic   hooks') });
  });
});
