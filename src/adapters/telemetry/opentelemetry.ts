import {
  type Context,
  createTraceState,
  isSpanContextValid,
  type Link,
  type Span as OtelSpan,
  type ProxyTracerProvider,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import type { Span, SpanAttributes, SpanStart, TraceHeaders, Tracing } from '../../ports/tracing.ts';

const KINDS: Record<SpanStart['kind'], SpanKind> = {
  server: SpanKind.SERVER,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  client: SpanKind.CLIENT,
};

/**
 * Makes spans for the OpenTelemetry SDK that was registered before (`node --import ./otel.mjs`). Null when there is
 * no SDK, so that no span is made in vain.
 */
export function openTracing(version: string): Tracing | null {
  const provider: TracerProvider & Partial<ProxyTracerProvider> = trace.getTracerProvider();
  // A test span would not show whether there is an SDK: its sampler may leave out that span.
  const tracer = provider.getDelegateTracer
    ? provider.getDelegateTracer('postern', version)
    : provider.getTracer('postern', version);
  return tracer === undefined ? null : { start: (step) => new TracedStep(tracer, step) };
}

class TracedStep implements Span {
  readonly headers: Record<string, string>;
  readonly #span: OtelSpan;

  constructor(tracer: Tracer, { name, kind, parent, links, attributes }: SpanStart) {
    const options = { kind: KINDS[kind], attributes, links: links.flatMap(linkTo) };
    this.#span = tracer.startSpan(name, options, contextOf(parent));
    const context = this.#span.spanContext();
    // A provider that is switched off gives no context; then the trace from outside is passed on.
    this.headers = isSpanContextValid(context) ? headersOf(context) : { ...parent };
  }

  end(error: string | null, attributes: SpanAttributes): void {
    this.#span.setAttributes(error === null ? attributes : { ...attributes, 'error.type': error });
    if (error !== null) this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#span.end();
  }
}

function contextOf(headers: TraceHeaders): Context {
  const remote = spanContextOf(headers);
  return remote === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
}

function linkTo(headers: TraceHeaders): Link[] {
  const context = spanContextOf(headers);
  return context === null ? [] : [{ context }];
}

/** Reads headers that `traceHeaders` has checked. */
function spanContextOf({ traceparent, tracestate }: TraceHeaders): SpanContext | null {
  if (traceparent === undefined) return null;
  return {
    traceId: traceparent.slice(3, 35),
    spanId: traceparent.slice(36, 52),
    traceFlags: Number.parseInt(traceparent.slice(53, 55), 16),
    isRemote: true,
    ...(tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }),
  };
}

function headersOf({ traceId, spanId, traceFlags, traceState }: SpanContext): Record<string, string> {
  const traceparent = `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, '0')}`;
  const tracestate = traceState?.serialize() ?? '';
  return tracestate === '' ? { traceparent } : { traceparent, tracestate };
}
