import { headerText } from '../cloudevents/record.ts';
import type { FunctionConfig } from '../config/function/types.ts';
import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { traceHeaders } from '../core/trace-context.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import type { Span, SpanAttributes, TraceHeaders, Tracing } from '../ports/tracing.ts';
import { type Answer, conclude, type FunctionReply, reasonOf } from './conclude.ts';
import type { Caller, Invoker } from './invoker.ts';

/**
 * Calls a subscription's function with spans by the OpenTelemetry semantic conventions: for each attempt one of
 * the call, and one of each event that it delivers. A single event is sent with the trace context of the call;
 * several keep each its own. What the function answers goes on from the call, unless it says otherwise.
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
      const sent = records.map((record, i) => within(record, isOne ? call.headers : steps[i]!));
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

/** Ends the spans of a call, and tells who waits for it. */
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

  /** `failed`: the places of events that the function lists as failed. */
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

function within(record: StoredRecord, trace: TraceHeaders): StoredRecord {
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
  // Neither the login nor the query, which may hold a key.
  const { origin, pathname, hostname, port, protocol } = new URL(target.http.url);
  return {
    'http.request.method': 'POST',
    'url.full': origin + pathname,
    'server.address': hostname,
    'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
  };
}
