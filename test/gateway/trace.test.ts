import { trace } from '@opentelemetry/api';
import { afterEach, expect, it } from 'vitest';
import { openTracing } from '../../src/adapters/telemetry/opentelemetry.ts';
import { tracedLog } from '../../src/adapters/telemetry/traced-log.ts';
import { RecordingProvider } from '../adapters/telemetry/recording-provider.ts';
import { type Harness, startGateway } from './harness.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;
const YAML = 'sources:\n  s: { protocol: events, topic: s, id: [/id] }\n';

let gateway: Harness;
afterEach(async () => {
  trace.disable();
  await gateway.close();
});

const post = (body: string, headers: Record<string, string> = {}, path = '/events/s') =>
  fetch(`${gateway.url}${path}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
const traces = async () =>
  (await gateway.read('s')).map(({ headers }) => [
    headers.traceparent === undefined ? null : Buffer.from(headers.traceparent).toString(),
    headers.tracestate === undefined ? null : Buffer.from(headers.tracestate).toString(),
  ]);

it('without an SDK the trace of a request goes on unchanged, and none is begun', async () => {
  gateway = await startGateway({ yaml: YAML, tracing: openTracing('1') });
  await post('[{"id":"1"},{"id":"2"}]', { traceparent: PARENT, tracestate: 'a=1' });
  await post('{"id":"3"}');
  expect(await traces()).toEqual([
    [PARENT, 'a=1'],
    [PARENT, 'a=1'],
    [null, null],
  ]);
});

it('with an SDK a request is a step of its trace, or begins one; its records hang on it, and so does the append', async () => {
  const provider = new RecordingProvider();
  trace.setGlobalTracerProvider(provider);
  const tracing = openTracing('1')!;
  gateway = await startGateway({ yaml: YAML, tracing, wrapLog: (log) => tracedLog(log, tracing, 'sqlite') });
  expect((await post('{"id":"1"}', { traceparent: PARENT, tracestate: 'a=1' })).status).toBe(202);
  expect((await post('{"id":"2"}')).status).toBe(202);
  expect((await post('{', { traceparent: PARENT })).status).toBe(400);
  expect((await post('{}', {}, '/events/nobody?key=secret')).status).toBe(404);
  const [first, second] = await traces();
  const requests = provider.spans.filter(({ kind }) => kind === 'SERVER');
  expect(requests).toMatchObject([
    {
      name: 'POST /events/:source',
      traceId: TRACE,
      parent: 'b7ad6b7169203331',
      failed: false,
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/events/:source',
        'url.path': '/events/s',
        'url.scheme': 'http',
        'http.response.status_code': 202,
        'postern.source': 's',
      },
    },
    { parent: null, failed: false },
    { traceId: TRACE, failed: false, attributes: { 'http.response.status_code': 400 } },
    { failed: false, attributes: { 'http.response.status_code': 404, 'postern.source': 'unknown' } },
  ]);
  expect(first).toEqual([`00-${TRACE}-${requests[0]!.spanId}-01`, 'a=1']);
  expect(second).toEqual([`00-${requests[1]!.traceId}-${requests[1]!.spanId}-01`, null]);
  const appends = provider.spans.filter(({ name }) => name === 'send s');
  expect(appends.slice(0, 2).map(({ parent }) => parent)).toEqual(
    requests.slice(0, 2).map(({ spanId }) => spanId),
  );
  expect(JSON.stringify(provider.spans)).not.toContain('secret');
});

it('what is our fault is an error of the step', async () => {
  const provider = new RecordingProvider();
  trace.setGlobalTracerProvider(provider);
  gateway = await startGateway({
    yaml: YAML,
    tracing: openTracing('1'),
    wrapLog: (log) => ({
      append: async (records) => records.map(() => 'failed' as const),
      consume: (options, sink) => log.consume(options, sink),
      problem: () => log.problem(),
      close: () => log.close(),
    }),
  });
  expect((await post('{"id":"1"}')).status).toBe(503);
  expect(provider.spans).toMatchObject([
    { kind: 'SERVER', failed: true, attributes: { 'error.type': '503' } },
  ]);
});

it('a key that stands in a path is in no span', async () => {
  const provider = new RecordingProvider();
  trace.setGlobalTracerProvider(provider);
  gateway = await startGateway({
    yaml: 'sources:\n  shop: { protocol: segment, topic: shop, keys: [path-write-key-0001] }\n',
    tracing: openTracing('1'),
  });
  const reply = await fetch(`${gateway.url}/v1/projects/path-write-key-0001/settings`);
  expect(reply.status).toBe(200);
  expect(provider.spans).toHaveLength(1);
  expect(JSON.stringify(provider.spans)).not.toContain('path-write-key');
});
