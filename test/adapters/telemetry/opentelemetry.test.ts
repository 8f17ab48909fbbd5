import { trace } from '@opentelemetry/api';
import { afterEach, expect, it } from 'vitest';
import { openTracing } from '../../../src/adapters/telemetry/opentelemetry.ts';
import { tracedAppender } from '../../../src/adapters/telemetry/traced-log.ts';
import type { AppendVerdict, LogRecord } from '../../../src/ports/event-log.ts';
import type { SpanStart, Tracing } from '../../../src/ports/tracing.ts';
import { RecordingProvider } from './recording-provider.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;

afterEach(() => trace.disable());

function plugIn(sampled = true): { provider: RecordingProvider; tracing: Tracing } {
  const provider = new RecordingProvider(() => {}, sampled);
  trace.setGlobalTracerProvider(provider);
  return { provider, tracing: openTracing('1.2.3')! };
}

const step = (more: Partial<SpanStart> = {}): SpanStart => ({
  name: 'step',
  kind: 'client',
  parent: {},
  links: [],
  attributes: { a: 1 },
  ...more,
});

it('without an SDK there is no tracing at all', () => {
  expect(openTracing('1.2.3')).toBeNull();
});

it('a step hangs on the trace that it is given, and passes it on with an id of its own', () => {
  const { provider, tracing } = plugIn();
  const span = tracing.start(step({ parent: { traceparent: PARENT, tracestate: 'a=1,b=2' } }));
  expect(span.headers.traceparent).toMatch(new RegExp(`^00-${TRACE}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`));
  expect(span.headers.tracestate).toBe('a=1,b=2');
  span.end(null, { b: 'x' });
  expect(provider.spans).toEqual([
    {
      name: 'step',
      kind: 'CLIENT',
      traceId: TRACE,
      spanId: span.headers.traceparent!.slice(36, 52),
      parent: 'b7ad6b7169203331',
      links: [],
      attributes: { a: 1, b: 'x' },
      failed: false,
    },
  ]);
});

it('a step without a trace begins one, and one that failed says with what', () => {
  const { provider, tracing } = plugIn();
  const span = tracing.start(step({ links: [{ traceparent: PARENT }, {}] }));
  expect(span.headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  expect(span.headers.tracestate).toBeUndefined();
  span.end('timeout', {});
  expect(provider.spans).toMatchObject([
    { parent: null, links: ['b7ad6b7169203331'], failed: true, attributes: { 'error.type': 'timeout' } },
  ]);
});

it('a sampler that leaves a trace out does not stop tracing, nor the trace', () => {
  const { tracing } = plugIn(false);
  const span = tracing.start(step({ parent: { traceparent: PARENT } }));
  expect(span.headers.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
});

it('an SDK that is switched off lets the trace from outside through', () => {
  const off = {
    startSpan: () =>
      trace.wrapSpanContext({ traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 }),
  };
  trace.setGlobalTracerProvider({ getTracer: () => off as never });
  const span = openTracing('1.2.3')!.start(step({ parent: { traceparent: PARENT } }));
  expect(span.headers).toEqual({ traceparent: PARENT });
  span.end('failed', {});
});

it('an append has a span for each topic: on the one trace of its records, or linked to all', async () => {
  const { provider, tracing } = plugIn();
  const record = (topic: string, traceparent?: string): LogRecord => ({
    topic,
    key: null,
    value: null,
    headers: traceparent === undefined ? {} : { traceparent },
  });
  const other = PARENT.replace(TRACE, `1${TRACE.slice(1)}`).replace('b7', 'c8');
  const records = [record('one', PARENT), record('one', PARENT), record('two', PARENT), record('two', other)];
  let verdicts: AppendVerdict[] = ['stored', 'stored', 'too_large', 'stored'];
  const log = tracedAppender({ append: async () => verdicts }, tracing, 'kafka');
  expect(await log.append(records)).toBe(verdicts);
  expect(provider.spans).toMatchObject([
    {
      name: 'send one',
      kind: 'PRODUCER',
      traceId: TRACE,
      parent: 'b7ad6b7169203331',
      links: [],
      failed: false,
      attributes: {
        'messaging.system': 'kafka',
        'messaging.destination.name': 'one',
        'messaging.batch.message_count': 2,
      },
    },
    {
      name: 'send two',
      parent: null,
      links: ['b7ad6b7169203331', 'c8ad6b7169203331'],
      failed: true,
      attributes: { 'error.type': 'too_large' },
    },
  ]);
  verdicts = ['failed'];
  await log.append([record('three')]);
  const broken = tracedAppender({ append: () => Promise.reject(new Error('away')) }, tracing, 'kafka');
  await expect(broken.append([record('four')])).rejects.toThrow('away');
  expect(provider.spans.slice(2).map(({ name, attributes }) => [name, attributes['error.type']])).toEqual([
    ['send three', 'failed'],
    ['send four', 'failed'],
  ]);
});
