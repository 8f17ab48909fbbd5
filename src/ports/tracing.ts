/** W3C trace context as headers: `traceparent`, and `tracestate` if any. Empty: there is no trace. */
export type TraceHeaders = Readonly<Record<string, string>>;

export type SpanAttributes = Record<string, string | number>;

/** How a span begins. Names and attributes follow the OpenTelemetry semantic conventions. */
export interface SpanStart {
  name: string;
  kind: 'server' | 'producer' | 'consumer' | 'client';
  /** Its cause; empty: the span begins a trace. */
  parent: TraceHeaders;
  /** Other traces that it belongs to. */
  links: readonly TraceHeaders[];
  attributes: SpanAttributes;
}

/** One step of a trace, in work. */
export interface Span {
  /** The trace context for the spans that it causes. */
  readonly headers: Record<string, string>;
  /** Ends it, once; `error` is a fixed word when it failed, else null. */
  end(error: string | null, attributes: SpanAttributes): void;
}

/** Starts spans. Users take `Tracing | null`: null when tracing is off, so that no span is made in vain. */
export interface Tracing {
  start(span: SpanStart): Span;
}
