import { isUtf8 } from 'node:buffer';
import { HOPS } from '../cloudevents/attributes.ts';
import { isJsonType } from '../cloudevents/content-type.ts';
import { asBuffer, parseJson } from '../cloudevents/record.ts';
import type { FunctionReply } from '../function/answer.ts';
import { MAX_HOPS } from '../function/reply-record.ts';
import type { LogRecord, StoredRecord } from '../ports/event-log.ts';
import { progressTopic } from './compile.ts';
import { jsonOf } from './event-text.ts';
import type { State } from './state.ts';

/** The id of a call, which is its idempotency key: the same on every attempt, also after a crash. */
function callId(id: string, step: string, undo: boolean): string {
  return undo ? `${id}/${step}/undo` : `${id}/${step}`;
}

/** The event for a call of a step's function, or of its undo. Its data: the event that began the instance, and the results. */
export function callRecord(workflow: string, state: State, step: string, undo: boolean): StoredRecord {
  const { id, trace, steps } = state;
  const headers: Record<string, string> = {
    ce_specversion: '1.0',
    ce_id: callId(id, step, undo),
    ce_source: sourceOf(workflow),
    ce_type: undo ? 'postern.workflow.undo' : 'postern.workflow.step',
    ce_subject: id,
    ce_time: new Date(steps[step]!.since).toISOString(),
    'content-type': 'application/json',
    ...trace,
  };
  return {
    topic: progressTopic(workflow),
    partition: 0,
    offset: 0,
    timestamp: steps[step]!.since,
    key: Buffer.from(id),
    value: Buffer.from(`{"input":${state.input},"results":${resultsText(state)}}`),
    headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])),
  };
}

/**
 * The event with the outcome of an instance. A failed instance may still be undone later, so that event has another id.
 * Null: it has been through too many functions and streams. `cut`: without results.
 */
export function resultRecord(workflow: string, state: State, topic: string, cut: boolean): LogRecord | null {
  const { id, status, outcome, round, failure, trace } = state;
  const hops = hopsOf(state) + 1;
  if (hops > MAX_HOPS) return null;
  const isOver = status === 'ending';
  const reason = failure === null ? null : { step: failure.step, reason: failure.reason };
  const members = { id, outcome: isOver ? outcome : 'failed', reason };
  const text = JSON.stringify(members).slice(0, -1);
  return {
    topic,
    key: id,
    value: Buffer.from(`${text},"results":${cut ? 'null' : resultsText(state)}}`),
    headers: {
      ce_specversion: '1.0',
      ce_id: isOver ? `${id}/ended` : `${id}/failed/${round}`,
      ce_source: sourceOf(workflow),
      ce_type: isOver ? 'postern.workflow.ended' : 'postern.workflow.failed',
      ce_subject: id,
      ce_time: new Date().toISOString(),
      [`ce_${HOPS}`]: String(hops),
      'content-type': 'application/json',
      ...trace,
    },
  };
}

/** A function's reply as JSON text; null: it is empty, or no text. */
export function resultOf({ headers, body }: FunctionReply): string | null {
  if (body.length === 0 || !isUtf8(body)) return null;
  const type = headers['content-type'];
  const text = asBuffer(body).toString('utf8');
  const isJson = typeof type !== 'string' || isJsonType(type);
  return isJson && parseJson(body) !== undefined ? text.trim() : JSON.stringify(text);
}

function sourceOf(workflow: string): string {
  return `/workflows/${workflow}`;
}

function resultsText({ results }: State): string {
  const members = Object.keys(results).map((name) => `${JSON.stringify(name)}:${results[name]}`);
  return `{${members.join(',')}}`;
}

function hopsOf({ input }: State): number {
  const event = jsonOf(input) as Record<string, unknown> | null;
  const hops = Number(event?.[HOPS] ?? 0);
  return Number.isInteger(hops) && hops > 0 ? hops : 0;
}
