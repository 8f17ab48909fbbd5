import { afterEach, beforeEach, expect, test } from 'vitest';
import { Commits } from '../../src/consume/commits.ts';
import { Breaker } from '../../src/dispatcher/breaker.ts';
import { deliveryOf } from '../../src/dispatcher/call.ts';
import { Deliverer } from '../../src/dispatcher/deliver.ts';
import { Pace } from '../../src/dispatcher/pace.ts';
import { type Answer, invalidCall } from '../../src/function/answer.ts';
import type { Caller, Invoker } from '../../src/function/invoker.ts';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { stored } from './records.ts';
import { Changes, Rig, subscription } from './rig.ts';

const ok: Answer = { ...invalidCall(''), status: 200, fault: null };
const failed: Answer = { ...ok, status: 500, detail: 'HTTP 500' };

/** An invoker that leaves the answers to the test. */
class Calls implements Invoker {
  readonly open: { records: readonly StoredRecord[]; caller: Caller }[] = [];
  sizes: number[] = [];
  invoke(records: readonly StoredRecord[], caller: Caller) {
    this.open.push({ records, caller });
    this.sizes.push(records.length);
    return { abort: () => caller.answered({ ...invalidCall(''), fault: 'aborted' }) };
  }
  sizeOf = () => 1;
  async warm(): Promise<void> {}
  async close(): Promise<void> {}

  answer(answer: Answer): void {
    this.open.shift()!.caller.answered(answer);
  }
}

let rig: Rig;
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(() => rig.close());

/** A deliverer on a clock of the test, with calls of so many events. */
async function bench(changes: Parameters<typeof subscription>[1]) {
  const clock = { now: 1_000_000 };
  const calls = new Calls();
  const done = new Changes();
  const settled: boolean[] = [];
  const config = subscription(await rig.function(), changes);
  const deliverer = new Deliverer({
    subscription: config,
    invoker: calls,
    breaker: new Breaker({
      subscription: 'mail',
      concurrency: 100,
      clock: () => clock.now,
      random: () => 0.5,
      changed() {},
    }),
    pace: new Pace(config),
    log: rig.log,
    report: rig.facts.report,
    now: () => clock.now,
    random: () => 0.5,
    settled(_, isDelivered) {
      settled.push(isDelivered);
      done.changed();
    },
    changed: () => done.changed(),
  });
  const commits = new Commits(async () => {});
  commits.assign([{ topic: 'orders', partition: 0, offset: 0 }]);
  const holding = commits.find({ topic: 'orders', partition: 0 })!;
  const deliver = (events: number) =>
    deliverer.deliver(
      Array.from({ length: events }, (_, offset) =>
        deliveryOf(stored('{}', { ce_id: `e${offset}` }, { offset }), holding, offset, 0),
      ),
    );
  /** Begins the next calls that are due, once they are. */
  async function next(count = 1): Promise<void> {
    for (let begun = 0; begun < count; ) {
      const call = deliverer.retries.due();
      if (call !== undefined) {
        deliverer.begin(call);
        begun++;
      } else await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
  return { clock, calls, settled, done, deliverer, deliver, next };
}

const textOf = (record: StoredRecord, name: string) => Buffer.from(record.headers[name]!).toString();

test('no attempt begins later than retry.age after the first: the event is given up with its last answer', async () => {
  const { clock, calls, deliver, next } = await bench({
    retryAge: 5_000,
    retry: { attempts: 99, min: 1, max: 2 },
  });
  deliver(1);
  clock.now += 4_000;
  calls.answer(failed);
  await next();
  clock.now += 2_000;
  calls.answer({ ...failed, status: 503, detail: 'HTTP 503' });
  const [letter] = await rig.read('mail.dead', 1);
  expect(calls.sizes).toEqual([1, 1]);
  expect(textOf(letter!, 'postern_reason')).toBe('server_error');
  expect(textOf(letter!, 'postern_status')).toBe('503');
  expect(textOf(letter!, 'postern_attempts')).toBe('2');
});

test('an attempt that is due before the limit, and would begin after it, is not made', async () => {
  const { clock, calls, deliverer, deliver, done, settled } = await bench({
    retryAge: 5_000,
    retry: { attempts: 99, min: 1, max: 2 },
  });
  deliver(1);
  calls.answer(failed);
  clock.now += 5_001;
  await done.until(() => {
    expect(deliverer.retries.due()).toBeUndefined();
    return settled.length === 1;
  });
  expect(settled).toEqual([false]);
  expect(calls.sizes).toEqual([1]);
});

test('C54 429 costs no attempt, and retry.age ends it all the same', async () => {
  const { clock, calls, deliver, next } = await bench({
    retryAge: 60_000,
    retry: { attempts: 2, min: 1, max: 2 },
  });
  deliver(1);
  for (let i = 0; i < 20; i++) {
    calls.answer({ ...ok, status: 429 });
    await next();
  }
  clock.now += 60_001;
  calls.answer({ ...ok, status: 429 });
  expect(textOf((await rig.read('mail.dead', 1))[0]!, 'postern_reason')).toBe('throttled');
});

test('C56 a call that is too large is halved without counting an attempt; what is too large alone is refused', async () => {
  const { calls, deliver, next, done, settled } = await bench({ retry: { attempts: 1, min: 1, max: 2 } });
  const tooLarge: Answer = { ...invalidCall('7 MB'), fault: 'too_large' };
  deliver(4);
  calls.answer(tooLarge);
  await next(2);
  calls.answer(ok);
  calls.answer(tooLarge);
  await next(2);
  calls.answer(ok);
  calls.answer(tooLarge);
  await done.until(() => settled.length === 4);
  expect(calls.sizes).toEqual([4, 2, 2, 1, 1]);
  const [letter] = await rig.read('mail.dead', 1);
  expect(textOf(letter!, 'postern_reason')).toBe('too_large');
  expect(textOf(letter!, 'postern_attempts')).toBe('1');
});

test('a batch that reached nobody is made again as it was', async () => {
  const { calls, deliver, next } = await bench({ retry: { attempts: 3, min: 1, max: 2 } });
  deliver(4);
  calls.answer({ ...invalidCall(''), fault: 'unreachable' });
  await next();
  expect(calls.sizes).toEqual([4, 4]);
});
