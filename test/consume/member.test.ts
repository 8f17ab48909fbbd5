import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Holding } from '../../src/consume/commits.ts';
import { Member, type MemberOptions, type Work } from '../../src/consume/member.ts';
import type { ConsumeOptions, EventLog, RecordSink, StoredRecord } from '../../src/ports/event-log.ts';
import { Changes, changedLog, numbered, Rig } from '../dispatcher/rig.ts';

let rig: Rig;
const members: Member[] = [];
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(async () => {
  vi.useRealTimers();
  for (const member of members.splice(0)) await member.stop(0);
  await rig.close();
});

/** Work that a test ends itself, unless it is `quick`. */
class TestWork extends Changes implements Work {
  readonly taken: string[] = [];
  /** Records in work. */
  readonly open: { holding: Holding; record: StoredRecord }[] = [];
  readonly calls: string[] = [];
  quick = true;
  member!: Member;
  #idle = () => {};

  take(holding: Holding, records: StoredRecord[]): void {
    if (records.length === 0) this.calls.push(`assigned ${holding.topic} at ${holding.start}`);
    for (const record of records) {
      this.taken.push(Buffer.from(record.key!).toString());
      if (this.quick) this.member.commits.finish(holding, record.offset);
      else this.open.push({ holding, record });
    }
    this.changed();
  }

  release(): Promise<void> {
    this.calls.push('release');
    this.changed();
    return new Promise((resolve) => {
      this.#idle = resolve;
      if (this.open.length === 0) resolve();
    });
  }

  forget(): void {
    this.calls.push('forget');
    this.open.length = 0;
    this.changed();
  }

  finish(count = this.open.length): void {
    for (const { holding, record } of this.open.splice(0, count))
      this.member.commits.finish(holding, record.offset);
    if (this.open.length === 0) this.#idle();
  }
}

function memberOf(log: EventLog = rig.log, more: Partial<MemberOptions> = {}): TestWork {
  const work = new TestWork();
  const reads: ConsumeOptions = { group: 'g', topics: ['orders'], from: 'earliest' };
  work.member = new Member({ log, reads, work, random: () => 0, ...more });
  members.push(work.member);
  return work;
}

/** A log that lets a test call the sink, and that notes what it does. */
function watched(consume: (turn: number) => Promise<void> | void = () => {}) {
  const changes = new Changes();
  const sinks: RecordSink[] = [];
  const stops: number[] = [];
  const commits: number[] = [];
  const flow: string[] = [];
  const log = changedLog(rig.log, {
    async consume(options, sink) {
      const turn = sinks.push(sink);
      changes.changed();
      await consume(turn);
      const real = await rig.log.consume(options, sink);
      return {
        commit: (positions) => {
          commits.push(...positions.map(({ offset }) => offset));
          changes.changed();
          return real.commit(positions);
        },
        pause: (partitions) => {
          flow.push('pause');
          real.pause(partitions);
        },
        resume: (partitions) => {
          flow.push('resume');
          real.resume(partitions);
        },
        stop: () => {
          stops.push(turn);
          changes.changed();
          return real.stop();
        },
      };
    },
  });
  return { log, changes, sinks, stops, commits, flow };
}

describe('a member', () => {
  test('is told of a partition, takes its records once and in order, and the next goes on after the finished', async () => {
    await rig.append(numbered(1_200));
    const first = memberOf();
    await first.member.start();
    await first.until(() => first.taken.length === 1_200);
    expect(first.taken).toEqual(numbered(1_200));
    expect(first.calls).toEqual(['assigned orders at 0']);
    await first.member.stop(1_000);
    expect(first.calls.slice(1)).toContain('forget');
    await rig.append(['new']);
    const second = memberOf();
    await second.member.start();
    await second.until(() => second.taken.length === 1);
    expect(second.taken).toEqual(['new']);
    expect(second.calls).toEqual(['assigned orders at 1200']);
  });

  test('ignores records that it has read before', async () => {
    await rig.append(['a', 'b']);
    const { log, sinks } = watched();
    const work = memberOf(log);
    await work.member.start();
    await work.until(() => work.taken.length === 2);
    const records = await rig.read('orders', 2);
    sinks[0]!.records({ topic: 'orders', partition: 0 }, records, 2);
    await rig.append(['c']);
    await work.until(() => work.taken.length === 3);
    expect(work.taken).toEqual(['a', 'b', 'c']);
  });

  test('that dies has the records read again that were not finished', async () => {
    await rig.append(['a', 'b', 'c']);
    const { log, changes, commits } = watched();
    const work = memberOf(log);
    work.quick = false;
    await work.member.start();
    await work.until(() => work.open.length === 3);
    work.finish(1);
    await changes.until(() => commits.includes(1));
    // As the log of a process that was killed: nothing is released, nothing is committed.
    work.member.fail(new Error('killed'));
    await rig.reopen();
    const next = memberOf();
    await next.member.start();
    await next.until(() => next.taken.length === 2);
    expect(next.taken).toEqual(['b', 'c']);
  });

  test('pauses the partitions that its work says, and resumes them', async () => {
    await rig.append(numbered(5_000));
    const { log, flow } = watched();
    const work: TestWork = memberOf(log, { pauses: () => () => work.open.length > 100 });
    work.quick = false;
    await work.member.start();
    await work.until(() => work.open.length > 100);
    expect(work.taken.length).toBeLessThanOrEqual(1_000);
    while (work.taken.length < 5_000) {
      const { length } = work.taken;
      work.finish();
      work.member.regulate();
      await work.until(() => work.taken.length > length);
    }
    expect(flow.slice(0, 4)).toEqual(['pause', 'resume', 'pause', 'resume']);
    expect(work.taken).toEqual(numbered(5_000));
  });
});

describe('partitions that are given up', () => {
  test('wait for the work, and commit what it finished', async () => {
    await rig.append(['a', 'b']);
    const { log, commits } = watched();
    const work = memberOf(log);
    work.quick = false;
    await work.member.start();
    await work.until(() => work.open.length === 2);
    const stopped = work.member.stop(30_000);
    expect(work.calls.at(-1)).toBe('release');
    expect(work.member.isClosing).toBe(true);
    work.finish();
    await stopped;
    expect(commits.at(-1)).toBe(2);
    expect([...work.member.commits.holdings]).toEqual([]);
  });

  test('do not wait longer than the release may take; work that ends later does not count', async () => {
    await rig.append(['a', 'b']);
    const { log, sinks, commits } = watched();
    const work = memberOf(log, { releaseMs: 50 });
    work.quick = false;
    await work.member.start();
    await work.until(() => work.open.length === 2);
    const [late] = work.open;
    await sinks[0]!.revoked();
    expect(work.calls).toEqual(['assigned orders at 0', 'release', 'forget']);
    // Ours again, with nothing held from before.
    sinks[0]!.assigned([{ topic: 'orders', partition: 0, offset: 0 }]);
    work.member.commits.finish(late!.holding, late!.record.offset);
    const records = await rig.read('orders', 2);
    sinks[0]!.records({ topic: 'orders', partition: 0 }, records, 2);
    expect(work.open.map(({ record }) => record.offset)).toEqual([0, 1]);
    expect(commits).toEqual([]);
    work.finish();
    await expect.poll(() => commits).toEqual([2]);
  });

  test('take no records meanwhile, and are given up once however often they are asked for', async () => {
    await rig.append(['a']);
    const { log, sinks } = watched();
    const work = memberOf(log);
    work.quick = false;
    await work.member.start();
    await work.until(() => work.open.length === 1);
    const both = [sinks[0]!.revoked(), sinks[0]!.revoked()];
    await rig.append(['b']);
    const records = await rig.read('orders', 2);
    sinks[0]!.records({ topic: 'orders', partition: 0 }, records, 2);
    expect(work.taken).toEqual(['a']);
    work.finish();
    await Promise.all(both);
    expect(work.calls.filter((call) => call === 'release').length).toBe(1);
  });

  test('have at a stop no more time than that gives, although the release had more', async () => {
    await rig.append(['a']);
    const { log, sinks } = watched();
    const work = memberOf(log);
    work.quick = false;
    await work.member.start();
    await work.until(() => work.open.length === 1);
    const released = sinks[0]!.revoked();
    const began = performance.now();
    await work.member.stop(50);
    await released;
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

describe('a member that failed', () => {
  test('says why, and reads on after a wait, without what was in work', async () => {
    await rig.append(['a', 'b']);
    const { log, sinks, stops } = watched();
    const work = memberOf(log);
    work.quick = false;
    await work.member.start();
    await work.until(() => work.open.length === 2);
    const [late] = work.open;
    sinks[0]!.failed(new Error('gone'));
    expect(work.member.problem).toBe('gone');
    expect(work.calls.at(-1)).toBe('forget');
    expect(work.member.isClosing).toBe(true);
    await work.until(() => work.open.length === 2);
    expect(work.member.problem).toBeNull();
    // The old one has no say any more.
    work.member.commits.finish(late!.holding, late!.record.offset);
    sinks[0]!.failed(new Error('again'));
    await sinks[0]!.revoked();
    expect(work.member.problem).toBeNull();
    expect(work.open.length).toBe(2);
    expect(stops).toEqual([1]);
  });

  test('when it cannot join tries again', async () => {
    await rig.append(['a']);
    const { log } = watched((turn) => {
      if (turn === 1) throw new Error('no such group');
    });
    const work = memberOf(log);
    await work.member.start();
    expect(work.member.problem).toBe('no such group');
    await work.until(() => work.taken.length === 1);
    expect(work.member.problem).toBeNull();
  });

  test('while it joins leaves again, is down until the next start, and then reads', async () => {
    await rig.append(['a']);
    const gate = Promise.withResolvers<void>();
    const { log, sinks, stops } = watched((turn) => (turn === 1 ? gate.promise : undefined));
    const work = memberOf(log);
    const starting = work.member.start();
    sinks[0]!.failed(new Error('lost'));
    gate.resolve();
    await starting;
    expect(work.member.problem).toBe('lost');
    expect(stops).toEqual([1]);
    await work.until(() => work.taken.length === 1);
    expect(work.member.problem).toBeNull();
  });

  test('during a release reads on with the next start', async () => {
    await rig.append(['a']);
    const { log, sinks } = watched();
    const work = memberOf(log);
    work.quick = false;
    await work.member.start();
    await work.until(() => work.open.length === 1);
    const released = sinks[0]!.revoked();
    sinks[0]!.failed(new Error('too slow'));
    await released;
    expect(work.calls.filter((call) => call === 'forget').length).toBe(1);
    await work.until(() => work.open.length === 1);
    await rig.append(['b']);
    await work.until(() => work.open.length === 2);
    work.finish();
    await work.member.stop(1_000);
    const next = memberOf();
    await next.member.start();
    await rig.append(['c']);
    await next.until(() => next.taken.length > 0);
    expect(next.taken).toEqual(['c']);
  });

  test('waits ever longer although each start succeeds and dies at once, and less after it has read for a minute', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { log, sinks } = watched();
    const work = memberOf(log, { random: () => 0.999 });
    await work.member.start();
    const waits: number[] = [];
    const fail = async () => {
      const count = sinks.length;
      const failedAt = performance.now();
      sinks.at(-1)!.failed(new Error('dies'));
      while (sinks.length === count) await vi.advanceTimersByTimeAsync(100);
      waits.push(Math.round((performance.now() - failedAt) / 1_000));
      // It has joined.
      while (work.member.problem !== null) await new Promise(setImmediate);
    };
    for (let i = 0; i < 8; i++) await fail();
    expect(waits).toEqual([2, 3, 5, 9, 17, 33, 61, 61]);
    await vi.advanceTimersByTimeAsync(61_000);
    await fail();
    expect(waits.at(-1)).toBe(2);
  });
});

describe('a stop', () => {
  test('during the wait for the next start begins none', async () => {
    const { log, sinks } = watched();
    const work = memberOf(log);
    await work.member.start();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    sinks[0]!.failed(new Error('gone'));
    await work.member.stop(1_000);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(sinks.length).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('while it joins does not wait for that, and nothing is read', async () => {
    await rig.append(['a']);
    const changes = new Changes();
    let joining: AbortSignal | undefined;
    let left = 0;
    const log = changedLog(rig.log, {
      async consume(options, sink) {
        joining = options.signal!;
        changes.changed();
        await new Promise<void>((resolve) => options.signal!.addEventListener('abort', () => resolve()));
        return rig.log.consume(options, sink);
      },
      consumption: (real) => ({
        commit: (positions) => real.commit(positions),
        pause: (partitions) => real.pause(partitions),
        resume: (partitions) => real.resume(partitions),
        stop: () => {
          left++;
          return real.stop();
        },
      }),
    });
    const work = memberOf(log);
    const starting = work.member.start();
    await changes.until(() => joining !== undefined);
    await work.member.stop(1_000);
    await starting;
    expect(left).toBeGreaterThan(0);
    expect(work.taken).toEqual([]);
  });

  test('of a member whose log cannot let it go ends all the same', async () => {
    const log = changedLog(rig.log, {
      consumption: (real) => ({
        commit: (positions) => real.commit(positions),
        pause: (partitions) => real.pause(partitions),
        resume: (partitions) => real.resume(partitions),
        stop: async () => {
          await real.stop();
          throw new Error('the coordinator is away');
        },
      }),
    });
    const work = memberOf(log);
    await work.member.start();
    await work.member.stop(1_000);
    expect(work.calls).toContain('forget');
  });
});
