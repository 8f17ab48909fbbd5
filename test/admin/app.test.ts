import { expect, test } from 'vitest';
import type { AdminParts } from '../../src/admin/app.ts';
import { admin } from './port.ts';

async function ready(parts: Partial<AdminParts>): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await admin(parts).request('/readyz');
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test('all is well', async () => {
  expect((await admin().request('/livez')).status).toBe(200);
  expect(await ready({})).toEqual({
    status: 200,
    body: {
      state: 'ok',
      parts: {
        log: { state: 'ok' },
        dedupe: { state: 'ok' },
        schemas: { state: 'ok' },
        dispatcher: { state: 'ok' },
        descriptors: { state: 'ok' },
      },
    },
  });
});

test('what stops work makes the process unready, and alive all the same', async () => {
  const log = () => 'no broker answers';
  expect(await ready({ log })).toMatchObject({
    status: 503,
    body: { state: 'down', parts: { log: { state: 'down', detail: 'no broker answers' } } },
  });
  expect(await ready({ dispatcher: () => 'print: reading stopped' })).toMatchObject({ status: 503 });
  expect(await ready({ descriptors: () => 'file descriptors: 1024 of 1024 are in use' })).toMatchObject({
    status: 503,
    body: { state: 'down', parts: { descriptors: { state: 'down' } } },
  });
  expect(await ready({ stopping: () => true })).toMatchObject({ status: 503, body: { state: 'stopping' } });
  expect((await admin({ log, stopping: () => true }).request('/livez')).status).toBe(200);
});

test('without dedupe: degraded when events are accepted, down when they are refused', async () => {
  const dedupe = () => 'Redis does not answer';
  expect(await ready({ dedupe })).toMatchObject({
    status: 200,
    body: { state: 'degraded', parts: { dedupe: { state: 'degraded', detail: 'Redis does not answer' } } },
  });
  expect(await ready({ dedupe, outage: 'refuse' })).toMatchObject({ status: 503, body: { state: 'down' } });
});

test('broken schema files degrade: the others serve on; warnings do not count', async () => {
  const problem = { file: 'a.json', line: 3, pointer: '/type', message: 'is wrong' };
  expect(await ready({ schemas: () => [{ level: 'error', ...problem }] })).toMatchObject({
    status: 200,
    body: { state: 'degraded', parts: { schemas: { detail: ['error a.json:3 /type: is wrong'] } } },
  });
  expect(await ready({ schemas: () => [{ level: 'warning', ...problem }] })).toMatchObject({
    body: { state: 'ok' },
  });
});

test('metrics come as text, HEAD as GET without a body, nothing is cached', async () => {
  const response = await admin().request('/metrics');
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(await response.text()).toBe('up 1\n');
  for (const path of ['/livez', '/readyz', '/metrics']) {
    const head = await admin().request(path, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  }
});

test('anything else is a problem', async () => {
  const failing = admin({ metrics: () => Promise.reject(new Error('no')) });
  const cases = [
    { app: admin(), path: '/', method: 'GET', status: 404, code: 'not_found' },
    { app: admin(), path: '/readyz/x', method: 'HEAD', status: 404, code: null },
    { app: admin(), path: '/metrics', method: 'POST', status: 405, code: 'method_not_allowed' },
    { app: failing, path: '/metrics', method: 'GET', status: 500, code: 'internal' },
  ];
  for (const { app, path, method, status, code } of cases) {
    const response = await app.request(path, { method, headers: { host: 'localhost' } });
    expect([path, response.status]).toEqual([path, status]);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    if (code) expect(await response.json()).toMatchObject({ type: `urn:postern:problem:${code}`, status });
  }
});

test('with a spool the log may be away, until the spool is full', async () => {
  const spool = { events: 3, bytes: 900, problem: () => null as string | null };
  const parts = { log: () => 'Kafka is away', spool: () => spool };
  expect(await ready(parts)).toMatchObject({
    status: 200,
    body: {
      state: 'degraded',
      parts: { log: { state: 'degraded', detail: 'Kafka is away; 3 events (900 bytes) wait in the spool' } },
    },
  });
  spool.problem = () => 'spool: has no room';
  expect(await ready(parts)).toMatchObject({
    status: 503,
    body: { parts: { log: { detail: 'spool: has no room' } } },
  });
});
