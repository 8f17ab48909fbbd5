import { expect, test } from 'vitest';
import { makeAdmin } from '../../src/admin/app.ts';
import type { WorkflowsControl } from '../../src/admin/workflows.ts';

const began = Date.UTC(2026, 0, 2);
const instance = {
  id: 'o/1 ä',
  status: 'running',
  outcome: null,
  began,
  steps: {
    reserve: { state: 'done', since: began },
    approve: { state: 'waiting', since: began + 1000 },
  },
  failure: null,
  input: '{"id":"o/1 ä","data":{"total":5}}',
  results: { reserve: '{"place":7}' },
};
const wishes: string[] = [];

const control: WorkflowsControl = {
  names: () => ['order'],
  list: () => [{ ...instance, id: 'later', began: began + 5 }, instance],
  find: (workflow, id) => (workflow === 'order' && id === instance.id ? instance : null),
  retry: async () => 'not_now',
  async cancel(workflow, id) {
    wishes.push(`${workflow} ${id}`);
    return id === instance.id ? 'stored' : 'unknown';
  },
};

function admin(workflows: WorkflowsControl | null) {
  return makeAdmin({
    stopping: () => false,
    log: () => null,
    spool: () => null,
    dedupe: () => null,
    dispatcher: () => null,
    descriptors: () => null,
    outage: 'accept',
    schemas: () => [],
    workflows: () => workflows,
    metrics: async () => '',
    contentType: 'text/plain',
  });
}

const place = `/workflows/order/${encodeURIComponent(instance.id)}`;
const json = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };

test('lists the instances that are held here, the oldest first', async () => {
  const reply = await admin(control).request('/workflows');
  expect(await reply.json()).toEqual({
    workflows: [
      {
        name: 'order',
        count: 2,
        instances: [
          {
            id: 'o/1 ä',
            status: 'running',
            began: '2026-01-02T00:00:00.000Z',
            at: [{ step: 'approve', state: 'waiting', since: '2026-01-02T00:00:01.000Z' }],
            failure: null,
          },
          expect.objectContaining({ id: 'later' }),
        ],
      },
    ],
  });
  expect(reply.headers.get('cache-control')).toBe('no-store');
  expect(await (await admin(null).request('/workflows')).json()).toEqual({ workflows: [] });
});

test('shows one, with its event and its results', async () => {
  const reply = await admin(control).request(place);
  expect(await reply.json()).toMatchObject({
    id: 'o/1 ä',
    input: { data: { total: 5 } },
    results: { reserve: { place: 7 } },
    steps: { reserve: { state: 'done', since: '2026-01-02T00:00:00.000Z' } },
  });
  expect((await admin(control).request('/workflows/order/other')).status).toBe(404);
  expect((await admin(control).request('/workflows/other/o')).status).toBe(404);
  expect((await admin(null).request(place)).status).toBe(404);
});

test('takes what people want only as JSON, which a page of another site cannot send', async () => {
  const { request } = admin(control);
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', ''])
    expect(
      (await request(`${place}/cancel`, { method: 'POST', headers: { 'content-type': type } })).status,
    ).toBe(415);
  expect((await request(`${place}/cancel`)).status).toBe(404);
  expect(wishes).toEqual([]);
  expect((await request(`${place}/cancel`, json)).status).toBe(202);
  expect(wishes).toEqual(['order o/1 ä']);
  expect((await request('/workflows/order/other/cancel', json)).status).toBe(404);
  expect((await request(`${place}/retry`, json)).status).toBe(409);
  expect((await request(`${place}/remove`, json)).status).toBe(404);
});
