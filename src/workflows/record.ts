import { hash } from 'node:crypto';
import {
  asBuffer,
  cloudEvent,
  contentTypeOf,
  headerText,
  isStructured,
  parseJson,
} from '../cloudevents/record.ts';
import { traceHeaders } from '../core/trace-context.ts';
import type { LogRecord, RecordHeaders, StoredRecord } from '../ports/event-log.ts';
import { eventText } from './event-text.ts';
import type { Progress } from './progress.ts';

/** The header with the kind of a record of a progress topic. */
const KIND = 'postern_workflow';
/** The header with the step that an event is for. */
const STEP = 'postern_step';

/** The content of a record of a progress topic, and the id of its instance. */
export interface ProgressEntry {
  id: string;
  progress: Progress;
}

type EventProgress = 'started' | 'arrived';
type OtherProgress = Exclude<Progress, { kind: EventProgress }>;

/** The record of the progress topic for an event that begins an instance: as it was, with an id if it had none. */
export function startedRecord(record: StoredRecord, id: string, topic: string): LogRecord {
  return eventRecord(record, id, topic, { [KIND]: 'started' });
}

/** The id of an instance when an event of another source has begun one with its id. It depends only on these two. */
export function longerId(id: string, source: string): string {
  return `${id}~${hash('sha256', source, 'hex').slice(0, 16)}`;
}

/** The record of the progress topic for an event that a step of an instance waits for. */
export function arrivedRecord(record: StoredRecord, id: string, step: string, topic: string): LogRecord {
  return eventRecord(record, id, topic, { [KIND]: 'arrived', [STEP]: step });
}

function eventRecord(record: StoredRecord, id: string, topic: string, own: RecordHeaders): LogRecord {
  const headers: RecordHeaders = { ...record.headers, ...own };
  if (!isStructured(contentTypeOf(record))) {
    // An event without an id has one made of its position, which would be another one in the progress topic.
    const { attributes } = cloudEvent(record);
    for (const name in attributes) {
      if (!headers[`ce_${name}`]?.length) headers[`ce_${name}`] = attributes[name]!;
    }
  }
  return { topic, key: id, value: record.value, headers };
}

/** Any other record of the progress topic, for the partition with the earlier records of the instance. */
export function progressRecord(
  id: string,
  { kind, ...rest }: OtherProgress,
  topic: string,
  partition: number,
): LogRecord {
  const value = Buffer.from(JSON.stringify(rest));
  const headers = { [KIND]: kind, 'content-type': 'application/json' };
  return { topic, toPartition: partition, key: id, value, headers };
}

/** Reads a record of a progress topic; null when Postern did not write it. */
export function readProgress(record: StoredRecord): ProgressEntry | null {
  const kind = headerText(record, KIND);
  if (kind === null || record.key === null || record.value === undefined) return null;
  const id = asBuffer(record.key).toString('utf8');
  if (kind === 'started') {
    const { source } = cloudEvent(record).attributes;
    const trace = traceHeaders(
      headerText(record, 'traceparent') ?? undefined,
      headerText(record, 'tracestate') ?? undefined,
    );
    return { id, progress: { kind, event: eventText(record), source: source!, trace } };
  }
  if (kind === 'arrived')
    return { id, progress: { kind, step: headerText(record, STEP) ?? '', event: eventText(record) } };
  const json = record.value === null ? undefined : parseJson(record.value);
  if (typeof json !== 'object' || json === null) return null;
  const progress = { ...json, kind } as OtherProgress;
  return isWhole(progress, id) ? { id, progress } : null;
}

/** Others may write to the topic too. A record that is not ours must not end the reading. */
function isWhole(progress: OtherProgress, id: string): boolean {
  switch (progress.kind) {
    case 'called':
      return (
        typeof progress.undoable === 'boolean' &&
        areTexts(progress.step, progress.result ?? '') &&
        typeof progress.round === 'number' &&
        typeof progress.undo === 'boolean' &&
        typeof progress.unsure === 'boolean' &&
        (progress.failure === null || areTexts(progress.failure.reason, progress.failure.detail))
      );
    case 'expired':
      return areTexts(progress.step ?? '') && typeof progress.at === 'number';
    case 'told':
    case 'leave':
      return typeof progress.round === 'number';
    case 'ended':
      return areTexts(progress.outcome);
    case 'state': {
      const { state } = progress;
      return state?.id === id && areTexts(state.input, state.status) && typeof state.upto === 'number';
    }
    default:
      return progress.kind === 'retry' || progress.kind === 'cancel';
  }
}

function areTexts(...values: unknown[]): boolean {
  return values.every((value) => typeof value === 'string');
}
