import { expect, test } from 'vitest';
import { checkAll } from '../../src/cli/check.ts';

const call = "function: { http: { url: 'http://f.example/' } }";

/** Problems of a workflow, as pointer and message. */
async function problems(workflow: string): Promise<string[]> {
  const text = `
log: { embedded: {} }
dedupe: { embedded: {} }
schemas: test/none
sources:
  s: { protocol: events, topic: orders, id: [/id] }
workflows:
  order: ${workflow}
`;
  const found = await checkAll({ file: 'postern.yaml', text, env: {} });
  return found
    .filter(({ pointer }) => pointer.startsWith('/workflows'))
    .map(({ pointer, message }) => `${pointer.slice('/workflows/order'.length)} ${message}`);
}

const flow = (steps: string, more = '') => `{ on: { topics: [orders] }, steps: [${steps}] ${more} }`;

test('a good one has nothing to complain about', async () => {
  const steps = `{ name: a, ${call} }, { name: w, waitFor: { topics: [x], filter: event.data.o == workflow.id } }, { parallel: [{ name: b, ${call} }] }`;
  expect(await problems(flow(steps, ', result: done'))).toEqual([]);
});

test('expressions are checked, each at its place', async () => {
  const on = `{ on: { topics: [orders], filter: 'event.' }, steps: [{ name: a, ${call} }] }`;
  expect(await problems(on)).toEqual([expect.stringMatching(/^\/on\/filter is not right: /)]);
  const steps = `{ name: a, when: 'x.y', ${call} }, { name: w, waitFor: { topics: [x], filter: event.data.ok } }, { parallel: [{ name: b, when: '1 +', ${call} }] }`;
  expect(await problems(flow(steps))).toEqual([
    expect.stringMatching(/^\/steps\/0\/when is not right: /),
    expect.stringMatching(/^\/steps\/1\/waitFor\/filter is not right: .*workflow\.id/),
    expect.stringMatching(/^\/steps\/2\/parallel\/0\/when is not right: /),
  ]);
});

test('topics must not go round', async () => {
  const step = `{ name: a, ${call} }`;
  expect(await problems(flow(step, ', deadLetter: orders'))).toEqual([
    expect.stringContaining('/deadLetter orders is among its own topics'),
  ]);
  expect(await problems(flow(step, ', result: orders'))).toEqual([
    expect.stringContaining('/result orders is among its own topics'),
  ]);
  expect(await problems(flow(step, ', result: workflow.order'))).toEqual([
    expect.stringContaining("workflow.order is only for the workflow's progress"),
  ]);
  const wait = '{ name: w, waitFor: { topics: [workflow.order], filter: event.data.o == workflow.id } }';
  expect(await problems(flow(wait))).toEqual([
    expect.stringContaining("is the workflow's own progress topic"),
  ]);
});

test('a step is one event, and its outcome must be known', async () => {
  const steps =
    "{ name: a, function: { http: { url: 'http://f.example/', mode: batch } }, undo: { lambda: { name: f, invoke: async } } }";
  expect(await problems(flow(steps))).toEqual([
    '/steps/0/function/http/mode cannot be batch, because a step is one event',
    '/steps/0/undo/lambda/invoke cannot be async, because such a call has no result',
  ]);
});
