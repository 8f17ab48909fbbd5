import { traceHeaders } from '../../core/trace-context.ts';
import type { Appender, AppendVerdict, EventLog, LogRecord } from '../../ports/event-log.ts';
import type { Span, TraceHeaders, Tracing } from '../../ports/tracing.ts';

/** Most traces that the span of one append links to. */
const MOST_LINKS = 100;

/** The log, with a span for each topic of an append. `system` is the log's name in spans, such as `kafka`. */
export function tracedLog(log: EventLog, tracing: Tracing, system: string): EventLog {
  return {
    ...tracedAppender(log, tracing, system),
    consume: (options, sink) => log.consume(options, sink),
    problem: () => log.problem(),
    close: () => log.close(),
  };
}

/** The same as `tracedLog`, for an appender. */
export function tracedAppender(log: Appender, tracing: Tracing, system: string): Appender {
  return {
    async append(records) {
      const spans = new Map<string, Span>();
      for (const [topic, own] of byTopic(records)) spans.set(topic, spanOf(tracing, system, topic, own));
      let verdicts: AppendVerdict[] | null = null;
      try {
        verdicts = await log.append(records);
        return verdicts;
      } finally {
        for (const [topic, span] of spans) span.end(errorOf(topic, records, verdicts), {});
      }
    },
  };
}

function byTopic(records: readonly LogRecord[]): Map<string, LogRecord[]> {
  const topics = new Map<string, LogRecord[]>();
  for (const record of records) {
    const known = topics.get(record.topic);
    if (known === undefined) topics.set(record.topic, [record]);
    else known.push(record);
  }
  return topics;
}

/** A span of many requests can have only one parent, so it has none and links to all of them. */
function spanOf(tracing: Tracing, system: string, topic: string, records: readonly LogRecord[]): Span {
  const causes = new Map<string, TraceHeaders>();
  for (const { headers } of records) {
    const cause = traceHeaders(textOf(headers.traceparent), textOf(headers.tracestate));
    if (cause.traceparent !== undefined && causes.size < MOST_LINKS) causes.set(cause.traceparent, cause);
  }
  const all = [...causes.values()];
  return tracing.start({
    name: `send ${topic}`,
    kind: 'producer',
    parent: all.length === 1 ? all[0]! : {},
    links: all.length === 1 ? [] : all,
    attributes: {
      'messaging.system': system,
      'messaging.operation.type': 'send',
      'messaging.operation.name': 'send',
      'messaging.destination.name': topic,
      'messaging.batch.message_count': records.length,
    },
  });
}

function textOf(value: string | Uint8Array | undefined): string | undefined {
  return typeof value === 'object' ? Buffer.from(value).toString() : value;
}

function errorOf(
  topic: string,
  records: readonly LogRecord[],
  verdicts: AppendVerdict[] | null,
): string | null {
  if (verdicts === null) return 'failed';
  let error: string | null = null;
  records.forEach((record, i) => {
    const verdict = verdicts[i];
    if (record.topic === topic && verdict !== 'stored' && error !== 'failed') error = verdict ?? 'failed';
  });
  return error;
}
