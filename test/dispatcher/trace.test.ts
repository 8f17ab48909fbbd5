import { trace } from '@opentelemetry/api';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openTracing } from '../../src/adapters/telemetry/opentelemetry.ts';
import type { Answer } from '../../src/function/answer.ts';
import type { Invoker } from '../../src/function/invoker.ts';
import { tracedInvoker } from '../../src/function/trace.ts';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import type { Tracing } from '../../src/ports/tracing.ts';
import { RecordingProvider } from '../adapters/telemetry/recording-provider.ts';
import { stored } from './records.ts';
import { eventRecord, httpAt, Rig, subscription } from './rig.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;
const OTHER = PARENT.replace('0af', '1af').replace('b7', 'c8');

let rig: Rig;
let provider: RecordingProvider;
let tracing: Tracing;
beforeEach(async () => {
  rig = new Rig();
  provider = new RecordingProvider();
  trace.setGlobalTracerProvider(provider);
  tracing = openTracing('1')!;
  await rig.open();
});
afterEach(async () => {
  trace.disable();
  await rig.close();
});

async function append(id: string, headers: Record<string, string> = {}): Promise<void> {
  const record = eventRecord(id, '{}');
  Object.assign(record.headers, headers);
  await rig.log.append([record]);
}
const kinds = (kind: string) => provider.spans.filter((span) => span.kind === kind);

it('each attempt is a step of the event that hangs on its trace, and a call that hangs on that', async () => {
  const target = await rig.function((_, response) => {
    response.statusCode = target.received.length === 1 ? 503 : 204;
    response.end();
  });
  await append('e1', { traceparent: PARENT, tracestate: 'a=1' });
  await rig.start([subscription(target)], rig.log, { tracing });
  await rig.facts.until(() => rig.facts.events('delivered') === 1);
  const deliveries = kinds('CONSUMER');
  const calls = kinds('CLIENT');
  expect(deliveries).toMatchObject(
    [true, false].map((failed) => ({
      name: 'process orders',
      traceId: TRACE,
      parent: 'b7ad6b7169203331',
      failed,
    })),
  );
  expect(deliveries[0]!.attributes).toEqual({
    'messaging.operation.type': 'process',
    'messaging.operation.name': 'process',
    'messaging.destination.name': 'orders',
    'messaging.destination.partition.id': '0',
    'messaging.consumer.group.name': 'postern.mail',
    'messaging.kafka.offset': 0,
    'cloudevents.event_id': 'e1',
    'cloudevents.event_source': '/shop',
    'cloudevents.event_type': 'shop.order',
    'error.type': 'server_error',
  });
  expect(calls.map(({ parent }) => parent)).toEqual(deliveries.map(({ spanId }) => spanId));
  expect(calls[0]).toMatchObject({
    name: 'POST /fn',
    failed: true,
    attributes: {
      'http.request.method': 'POST',
      'url.full': `http://127.0.0.1:${target.server.port}/fn`,
      'server.address': '127.0.0.1',
      'server.port': target.server.port,
      'http.response.status_code': 503,
      'error.type': 'server_error',
    },
  });
  expect(target.received.map(({ request }) => request.headers.traceparent)).toEqual(
    calls.map(({ spanId }) => `00-${TRACE}-${spanId}-01`),
  );
  expect(target.received[0]!.request.headers.tracestate).toBe('a=1');
});

it('an event without a trace begins one, and the dead letter still has the record as it was', async () => {
  const target = await rig.function((_, response) => response.writeHead(400).end());
  await append('e1');
  await append('e2', { traceparent: PARENT });
  await rig.start([subscription(target, { concurrency: 1 })], rig.log, { tracing });
  const letters = await rig.read('mail.dead', 2);
  expect(
    letters.map(({ headers }) => headers.traceparent && Buffer.from(headers.traceparent).toString()),
  ).toEqual([undefined, PARENT]);
  expect(kinds('CONSUMER').map(({ parent }) => parent)).toEqual([null, 'b7ad6b7169203331']);
});

it('what a function answers goes on from the call, unless it says otherwise', async () => {
  const target = await rig.function(({ id }, response) =>
    response
      .writeHead(200, {
        'ce-specversion': '1.0',
        'ce-id': `r-${id}`,
        'ce-source': '/fn',
        'ce-type': 'done',
        ...(id === 'e2' ? { traceparent: OTHER } : {}),
      })
      .end(),
  );
  await append('e1', { traceparent: PARENT });
  await append('e2', { traceparent: PARENT });
  await rig.start([subscription(target, { reply: 'answers', concurrency: 1 })], rig.log, { tracing });
  const answers = await rig.read('answers', 2);
  expect(answers.map(({ headers }) => Buffer.from(headers.traceparent!).toString())).toEqual([
    `00-${TRACE}-${kinds('CLIENT')[0]!.spanId}-01`,
    OTHER,
  ]);
});

/** An invoker that keeps what it is asked to send. */
function fakeInvoker(answer: Partial<Answer> | null): Invoker & { sent: StoredRecord[] } {
  const sent: StoredRecord[] = [];
  return {
    sent,
    invoke(records, caller) {
      if (answer === null) throw new TypeError('cannot be sent');
      sent.push(...records);
      const all: Answer = {
        status: 200,
        fault: null,
        retryAfter: null,
        detail: '',
        ms: 1,
        failed: null,
        reply: null,
      };
      caller.answered({ ...all, ...answer });
      return { abort() {} };
    },
    sizeOf: () => 7,
    warm: async () => {},
    close: async () => {},
  };
}
const config = (changes: object) => ({ group: 'g', ...changes }) as Parameters<typeof tracedInvoker>[2];
const lambda = { lambda: { name: 'fn', region: 'eu-west-1', endpoint: null, invoke: 'sync' } };

it('several events in one call keep each their own trace; the call is linked to all, and each fails for itself', () => {
  const inner = fakeInvoker({ failed: [1] });
  const invoker = tracedInvoker(inner, tracing, config({ function: lambda }));
  const answers: Answer[] = [];
  const events = [stored('{}', { traceparent: PARENT }), stored('{}', { traceparent: OTHER })];
  invoker.invoke(events, { answered: (answer) => answers.push(answer) }, true);
  expect(answers).toHaveLength(1);
  const [call] = kinds('CLIENT');
  const deliveries = kinds('CONSUMER');
  expect(call).toMatchObject({
    name: 'invoke fn',
    parent: null,
    links: deliveries.map(({ spanId }) => spanId),
    failed: false,
    attributes: {
      'faas.invoked_name': 'fn',
      'faas.invoked_provider': 'aws',
      'faas.invoked_region': 'eu-west-1',
    },
  });
  expect(deliveries.map(({ failed, attributes }) => [failed, attributes['error.type']])).toEqual([
    [false, undefined],
    [true, 'item_failed'],
  ]);
  expect(inner.sent.map(({ headers }) => Buffer.from(headers.traceparent!).toString())).toEqual(
    deliveries.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`),
  );
  expect(invoker.sizeOf(events[0]!)).toBe(7);
});

it('a call that cannot be made ends its steps, and no secret of a URL is told', () => {
  const http = httpAt('https://user:secret-1@fn.example/path?code=secret-2');
  const invoker = tracedInvoker(fakeInvoker(null), tracing, config({ function: { http } }));
  expect(() => invoker.invoke([stored('{}')], { answered() {} }, true)).toThrow('cannot be sent');
  expect(provider.spans).toMatchObject([
    {
      kind: 'CLIENT',
      failed: true,
      attributes: { 'url.full': 'https://fn.example/path', 'server.port': 443 },
    },
    { kind: 'CONSUMER', failed: true, attributes: { 'error.type': 'invalid_call' } },
  ]);
  expect(JSON.stringify(provider.spans)).not.toContain('secret');
});
