import {
  type Context,
  context,
  type Span,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';

export interface RecordedSpan {
  name: string;
  kind: string;
  traceId: string;
  spanId: string;
  /** Id of the span that it hangs on, or null. */
  parent: string | null;
  /** Ids of the spans that it is linked to. */
  links: string[];
  attributes: Record<string, unknown>;
  failed: boolean;
}

const randomHex = (bytes: number) =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString('hex');

/** What an SDK is to the OpenTelemetry API, with nothing of it but spans that are told when they end. */
export class RecordingProvider implements TracerProvider {
  readonly spans: RecordedSpan[] = [];
  readonly #ended: (span: RecordedSpan) => void;
  readonly #sampled: boolean;

  constructor(ended: (span: RecordedSpan) => void = () => {}, sampled = true) {
    this.#ended = ended;
    this.#sampled = sampled;
  }

  getTracer(): Tracer {
    return {
      startSpan: (name, options = {}, from = context.active()) => this.#start(name, options, from),
      startActiveSpan: () => {
        throw new Error('not used');
      },
    };
  }

  #start(name: string, options: SpanOptions, from: Context): Span {
    const parent = trace.getSpanContext(from);
    const own: SpanContext = {
      traceId: parent?.traceId ?? randomHex(16),
      spanId: randomHex(8),
      traceFlags: this.#sampled ? 1 : 0,
      ...(parent?.traceState === undefined ? {} : { traceState: parent.traceState }),
    };
    const recorded: RecordedSpan = {
      name,
      kind: SpanKind[options.kind ?? SpanKind.INTERNAL],
      traceId: own.traceId,
      spanId: own.spanId,
      parent: parent?.spanId ?? null,
      links: (options.links ?? []).map((link) => link.context.spanId),
      attributes: { ...options.attributes },
      failed: false,
    };
    let isOver = false;
    const span: Span = {
      spanContext: () => own,
      isRecording: () => this.#sampled,
      setAttribute: () => span,
      setAttributes: (attributes) => {
        Object.assign(recorded.attributes, attributes);
        return span;
      },
      setStatus: ({ code }) => {
        recorded.failed = code === SpanStatusCode.ERROR;
        return span;
      },
      end: () => {
        if (isOver) throw new Error(`the span ${name} has ended before`);
        isOver = true;
        this.spans.push(recorded);
        this.#ended(recorded);
      },
      addEvent: () => span,
      addLink: () => span,
      addLinks: () => span,
      updateName: () => span,
      recordException: () => {},
    };
    return span;
  }
}
