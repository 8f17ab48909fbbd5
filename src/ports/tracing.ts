/** W3C trace context as headers: `traceparent`, and `tracestate` if any. Empty: none. */
export type TraceHeaders = Readonly<Record<string, string>>;

export type SpanAttributes = Record<string, string | number>;

/** What a step is; names and attributes by the OpenTelemetry semantic conventions. */
export interface SpanStart {
  name: string;
  kind: 'server' | 'producer' | 'consumer' | 'client';
  /** What caused it; without one it begins a trace. */
  parent: TraceHeaders;
  /** What else it has to do with. */
  links: readonly TraceHeaders[];
  attributes: SpanAttributes;
}

/** One step of a trace, under way. */
export interface Span {
  /** The trace context for what it causes. */
  readonly headers: Record<string, string>;
  /** Ends it, once; `error` is a fixed word when it failed, else null. */
  end(error: string | null, attributes: SpanAttributes): void;
}

/** Where the steps of traces are told. Where nobody listens there is no Tracing: null, and no span is made. */
export interface Tracing {
  start(step: SpanStart): Span;
}
