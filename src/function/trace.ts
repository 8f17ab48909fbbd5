import { headerText } from '../cloudevents/record.ts';
import type { FunctionConfig } from '../config/function/types.ts';
import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { traceHeaders } from '../core/trace-context.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import type { Span, SpanAttributes, TraceHeaders, Tracing } from '../ports/tracing.ts';
import { type Answer, conclude, type FunctionReply, reasonOf } from './answer.ts';
import type { Caller, Invoker } from './invoker.ts';

/**
 * An invoker that makes spans by the OpenTelemetry semantic conventions: for each attempt one for the call, and one for
 * each of its events. A single event is sent with the trace context of the call; of several events, each keeps its own.
 * A reply gets the trace context of the call, unless it has one.
 */
export function tracedInvoker(
  invoker: Invoker,
  tracing: Tracing,
  { group, function: target }: Pick<SubscriptionConfig, 'group' | 'function'>,
): Invoker {
  const name = nameOf(target);
  const attributes = attributesOf(target);
  return {
    invoke(records, caller, fresh) {
      const deliveries = records.map((record) => tracing.start(deliveryStep(record, group)));
      const steps = deliveries.map(({ headers }) => headers);
      const isOne = steps.length === 1;
      const call = tracing.start({
        name,
        kind: 'client',
        parent: isOne ? steps[0]! : {},
        links: isOne ? [] : steps,
        attributes,
      });
      const sent = records.map((record, i) => withTrace(record, isOne ? call.headers : steps[i]!));
      const traced = new TracedCaller(caller, call, deliveries);
      try {
        return invoker.invoke(sent, traced, fresh);
      } catch (error) {
        traced.end('invalid_call', {});
        throw error;
      }
    },
    sizeOf: (record) => invoker.sizeOf(record),
    warm: () => invoker.warm(),
    close: () => invoker.close(),
  };
}

/** Ends the spans of a call, and passes its answer on. */
class TracedCaller implements Caller {
  readonly #caller: Caller;
  readonly #call: Span;
  readonly #deliveries: readonly Span[];

  constructor(caller: Caller, call: Span, deliveries: readonly Span[]) {
    this.#caller = caller;
    this.#call = call;
    this.#deliveries = deliveries;
  }

  answered(answer: Answer): void {
    const { status, reply } = answer;
    const error = conclude(answer) === 'done' ? null : reasonOf(answer);
    this.end(error, status === null ? {} : { 'http.response.status_code': status }, answer.failed);
    this.#caller.answered(reply === null ? answer : { ...answer, reply: after(reply, this.#call.headers) });
  }

  /** `failed`: indexes of the events that the function lists as failed. */
  end(error: string | null, attributes: SpanAttributes, failed: readonly number[] | null = null): void {
    this.#call.end(error, attributes);
    this.#deliveries.forEach((delivery, i) =>
      delivery.end(error ?? (failed?.includes(i) ? 'item_failed' : null), {}),
    );
  }
}

function deliveryStep(record: StoredRecord, group: string): Parameters<Tracing['start']>[0] {
  const { topic, partition, offset } = record;
  const attributes: SpanAttributes = {
    'messaging.operation.type': 'process',
    'messaging.operation.name': 'process',
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': String(partition),
    'messaging.consumer.group.name': group,
    'messaging.kafka.offset': offset,
  };
  for (const part of ['id', 'source', 'type']) {
    const text = headerText(record, `ce_${part}`);
    if (text !== null) attributes[`cloudevents.event_${part}`] = text;
  }
  const parent = traceHeaders(
    headerText(record, 'traceparent') ?? undefined,
    headerText(record, 'tracestate') ?? undefined,
  );
  return { name: `process ${topic}`, kind: 'consumer', parent, links: [], attributes };
}

function withTrace(record: StoredRecord, trace: TraceHeaders): StoredRecord {
  const { traceparent: _, tracestate: __, ...others } = record.headers;
  const headers: Record<string, Uint8Array> = others;
  for (const name in trace) headers[name] = Buffer.from(trace[name]!);
  return { ...record, headers };
}

function after(reply: FunctionReply, trace: TraceHeaders): FunctionReply {
  return reply.headers.traceparent === undefined
    ? { ...reply, headers: { ...reply.headers, ...trace } }
    : reply;
}

function nameOf(target: FunctionConfig): string {
  return 'lambda' in target ? `invoke ${target.lambda.name}` : `POST ${new URL(target.http.url).pathname}`;
}

function attributesOf(target: FunctionConfig): SpanAttributes {
  if ('lambda' in target) {
    const { name, region } = target.lambda;
    const attributes = { 'faas.invoked_name': name, 'faas.invoked_provider': 'aws' };
    return region === null ? attributes : { ...attributes, 'faas.invoked_region': region };
  }
  // Without the login and the query, which may hold secrets.
  const { origin, pathname, hostname, port, protocol } = new URL(target.http.url);
  return {
    'http.request.method': 'POST',
    'url.full': origin + pathname,
    'server.address': hostname,
    'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
  };
}
