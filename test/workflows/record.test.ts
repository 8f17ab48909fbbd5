import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LogRecord, StoredRecord } from '../../src/ports/event-log.ts';
import { eventText } from '../../src/workflows/event-text.ts';
import { arrivedRecord, progressRecord, readProgress, startedRecord } from '../../src/workflows/record.ts';
import { emptyState } from '../../src/workflows/state.ts';
import { foreign, stored } from '../dispatcher/records.ts';

/** A record as it is read back. */
function readBack({ key, value, headers, topic, toPartition: partition = 3 }: LogRecord): StoredRecord {
  return {
    topic,
    partition,
    offset: 40,
    timestamp: 5,
    key: Buffer.from(key!),
    value,
    headers: Object.fromEntries(Object.entries(headers).map(([name, one]) => [name, Buffer.from(one)])),
  };
}

test('an event is the same in the progress topic, each number as it was sent', () => {
  const event = stored('{"n":12345678901234567890}', {
    traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
  });
  expect(readProgress(readBack(startedRecord(event, 'id-1', 'workflow.w')))).toEqual({
    id: 'id-1',
    progress: {
      kind: 'started',
      event: eventText(event),
      source: '/shop',
      trace: { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` },
    },
  });
  expect(eventText(event)).toContain('"data":{"n":12345678901234567890}');
  expect(readProgress(readBack(arrivedRecord(event, 'o-1', 'approve', 'workflow.w')))).toEqual({
    id: 'o-1',
    progress: { kind: 'arrived', step: 'approve', event: eventText(event) },
  });
});

test('an event without a name keeps the one of its place', () => {
  const event = foreign('{"a":1}', { ce_id: '' });
  const read = readProgress(readBack(startedRecord(event, 'orders-0-7', 'workflow.w')))!;
  expect(read.progress).toMatchObject({ kind: 'started', event: eventText(event), source: 'kafka:orders' });
  expect(JSON.parse(eventText(event)).id).toBe('orders-0-7');
  const structured = foreign('{"specversion":"1.0","id":"x","source":"/s","type":"t","data":1}', {
    'content-type': 'application/cloudevents+json',
  });
  expect(readProgress(readBack(startedRecord(structured, 'x', 'workflow.w')))!.progress).toMatchObject({
    event: '{"specversion":"1.0","id":"x","source":"/s","type":"t","data":1}',
    source: '/s',
  });
});

test('what is no record of ours is passed over', () => {
  const bad = (kind: string, value: string | null): StoredRecord =>
    ({ ...foreign(value, { postern_workflow: kind }), key: Buffer.from('o-1') }) as StoredRecord;
  for (const kind of ['called', 'expired', 'told', 'leave', 'ended', 'state', 'other'])
    for (const value of ['{}', '[]', 'null', 'x', null, '{"state":{}}', '{"step":1}'])
      expect([kind, value, readProgress(bad(kind, value))]).toEqual([kind, value, null]);
  expect(readProgress({ ...stored('{}'), key: Buffer.from('o-1') })).toBe(null);
  const state = { ...emptyState('other'), upto: 3 };
  expect(readProgress({ ...readBack(progressRecord('o-1', { kind: 'state', state }, 't', 0)) })).toBe(null);
  fc.assert(
    fc.property(
      fc.constantFrom('called', 'expired', 'told', 'ended', 'state', 'started', 'arrived'),
      fc.json(),
      (kind, value) => void readProgress(bad(kind, value)),
    ),
  );
});

test('other records are read as they were written, in the partition of their instance', () => {
  const record = progressRecord('o-1', { kind: 'expired', step: null, at: 0 }, 'workflow.w', 2);
  expect(record.toPartition).toBe(2);
  expect(readProgress(readBack(record))).toEqual({
    id: 'o-1',
    progress: { kind: 'expired', step: null, at: 0 },
  });
});
