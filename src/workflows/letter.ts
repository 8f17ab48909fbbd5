import { type DeadLetter, storeDeadLetter } from '../consume/dead-letter.ts';
import type { Outbox, WriteOutcome } from '../consume/outbox.ts';
import type { Failure } from './state.ts';

/** Stores a record that a workflow could not handle as a dead letter. */
export function storeLetter(
  outbox: Outbox,
  record: DeadLetter['record'],
  workflow: string,
  { step, reason, detail }: Failure,
  topic: string,
): Promise<WriteOutcome> {
  const now = Date.now();
  return storeDeadLetter(outbox, {
    topic,
    record,
    origin: { name: workflow, step },
    reason,
    status: null,
    attempts: 0,
    firstTime: now,
    lastTime: now,
    detail,
  });
}
