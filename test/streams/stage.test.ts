import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Holding } from '../../src/consume/commits.ts';
import type { AppendVerdict, EventLog, RecordSink, StoredRecord } from '../../src/ports/event-log.ts';
import type { StreamOutcome } from '../../src/ports/report.ts';
import { Stage, type StagePartition, type Steps } from '../../src/streams/stage.ts';
import { Changes, changedLog, eventRecord, numbered, Rig } from '../dispatcher/rig.ts';

let rig: Rig;
const stages: Stage<TestPartition>[] = [];
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.stop(0);
  await rig.close();
});

class TestPartition implements StagePartition {
  readonly holding: Holding;
  readonly records: StoredRecord[] = [];

  constructor(holding: Holding) {
    this.holding = holding;
  }

  get waiting(): number {
    return this.records.length;
  }

  get wantsStep(): boolean {
    return this.waiting > 0;
  }

  push(records: StoredRecord[]): void {
    this.records.push(...records);
  }
}

/** Copies events to the topic `copies`, in steps that a test may hold up or fail. */
class Copy extends Changes implements Steps<TestPartition> {
  stage!: Stage<TestPartition>;
  readonly stepped: string[][] = [];
  readonly reported: StreamOutcome[] = [];
  before: () => Promise<void> | void = () => {};

  hold(holding: Holding): TestPartition {
    return new TestPartition(holding);
  }

  async step(ready: TestPartition[]): Promise<void> {
    const [held] = ready as [TestPartition];
    const taken = [...held.records];
    this.stepped.push(taken.map(({ key }) => Buffer.from(key!).toString()));
    this.changed();
    await this.before();
    const made = taken.map(({ key }) => ({
      ...eventRecord(Buffer.from(key!).toString(), '{}'),
      topic: 'copies',
    }));
    if (!(await this.stage.append(made))) return;
    held.records.splice(0, taken.length);
    this.stage.finishBefore(held, taken.at(-1)!.offset + 1);
    this.changed();
  }

  async tick(): Promise<void> {}
}

async function start(log: EventLog = rig.log, copy = new Copy()): Promise<Copy> {
  const reported = (outcome: StreamOutcome) => copy.reported.push(outcome);
  copy.stage = new Stage(
    { log, random: () => 0, reported },
    { group: 'g', topics: ['orders'], from: 'earliest' },
    copy,
  );
  stages.push(copy.stage);
  await copy.stage.member.start();
  return copy;
}

/** A log whose sink a test may call, and that may not take copies. */
function watched(judge: (id: string) => AppendVerdict | null = () => null) {
  const sinks: RecordSink[] = [];
  const commits: number[] = [];
  const log = changedLog(rig.log, {
    consume(options, sink) {
      sinks.push(sink);
      return rig.log.consume(options, sink);
    },
    consumption: (real) => ({
      commit(positions) {
        commits.push(...positions.map(({ offset }) => offset));
        return real.commit(positions);
      },
      pause: (partitions) => real.pause(partitions),
      resume: (partitions) => real.resume(partitions),
      stop: () => real.stop(),
    }),
    async append(records) {
      const verdicts = records.map(({ key }) => judge(String(key)));
      const good = await rig.log.append(records.filter((_, i) => verdicts[i] === null));
      return verdicts.map((verdict) => verdict ?? good.shift()!);
    },
  });
  return { log, sinks, commits };
}

const copies = async (count: number) =>
  (await rig.read('copies', count)).map(({ key }) => Buffer.from(key!).toString());

describe('a stage', () => {
  test('commits what its steps have stored, and the next one goes on there', async () => {
    await rig.append(numbered(3_000));
    const first = await start();
    await first.until(() => first.stepped.flat().length === 3_000);
    await first.stage.stop(10_000);
    await rig.append(['new']);
    const next = await start();
    await next.until(() => next.stepped.length > 0);
    expect(next.stepped).toEqual([['new']]);
    expect(await copies(3_001)).toEqual([...numbered(3_000), 'new']);
  });

  test('tries a step again that failed, says why, and commits nothing of it', async () => {
    await rig.append(['a', 'b']);
    const { log, commits } = watched();
    const copy = new Copy();
    let failures = 3;
    copy.before = () => {
      if (failures-- > 0) throw new Error('the store is away');
    };
    await start(log, copy);
    await copy.until(() => copy.stepped.length > 0);
    await expect.poll(() => copy.stage.problem).toBe('the store is away');
    await expect.poll(() => commits).toEqual([2]);
    expect(copy.stage.problem).toBeNull();
    expect(await copies(2)).toEqual(['a', 'b']);
  });

  test('appends again only what could not be stored, and counts what is too large', async () => {
    await rig.append(['a', 'b', 'c']);
    let failures = 2;
    const { log, commits } = watched((id) => {
      if (id === 'c') return 'too_large';
      return id === 'b' && failures-- > 0 ? 'failed' : null;
    });
    const copy = await start(log);
    await expect.poll(() => commits).toEqual([3]);
    expect(await copies(2)).toEqual(['a', 'b']);
    expect(copy.reported).toEqual([{ tooLarge: 1 }]);
  });
});

describe('partitions of a stage', () => {
  test('are given up after the step that runs, which still counts', async () => {
    await rig.append(['a']);
    const { log, sinks, commits } = watched();
    const copy = await start(log);
    const gate = Promise.withResolvers<void>();
    copy.before = () => gate.promise;
    await copy.until(() => copy.stepped.length === 1);
    const released = sinks[0]!.revoked();
    gate.resolve();
    await released;
    expect(commits).toEqual([1]);
    expect(copy.stage.held).toEqual([]);
  });

  test('are given up although the log takes nothing, and nothing of it is committed', async () => {
    await rig.append(['a']);
    const { log, sinks, commits } = watched(() => 'failed');
    const copy = await start(log);
    await expect.poll(() => copy.stage.problem).toBe('records cannot be stored in copies');
    await sinks[0]!.revoked();
    expect(commits).toEqual([]);
    expect(copy.stage.held).toEqual([]);
  });

  test('that are lost during a step do not count, and are read again', async () => {
    await rig.append(['a']);
    const { log, sinks, commits } = watched();
    const copy = await start(log);
    const gate = Promise.withResolvers<void>();
    copy.before = () => gate.promise;
    await copy.until(() => copy.stepped.length === 1);
    const [lost] = copy.stage.held;
    sinks[0]!.failed(new Error('session is over'));
    expect(copy.stage.problem).toBe('session is over');
    copy.before = () => {};
    gate.resolve();
    await copy.until(() => copy.stepped.length === 2);
    expect(copy.stepped).toEqual([['a'], ['a']]);
    expect(lost!.holding.lost).toBe(true);
    await expect.poll(() => commits).toEqual([1]);
    expect(copy.stage.problem).toBeNull();
  });

  test('are all dropped and read again when a step finds the state in memory wrong', async () => {
    await rig.append(['a', 'b']);
    const copy = await start();
    let isWrong = true;
    copy.before = () => {
      if (!isWrong) return;
      isWrong = false;
      copy.stage.member.fail(new Error('wrong'));
      throw new Error('wrong');
    };
    await copy.until(() => copy.stepped.length === 2);
    await expect.poll(() => copy.stage.problem).toBeNull();
    await copy.stage.stop(10_000);
    expect(copy.stepped).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
    expect(await copies(2)).toEqual(['a', 'b']);
  });
});
