import { describe, expect, it } from 'vitest';
import { CommitGroups } from '../../src/gateway/commit/group.ts';
import { type Item, makeItem } from '../../src/gateway/commit/item.ts';
import { RecentIds } from '../../src/gateway/commit/recent-ids.ts';
import {
  type Claim,
  type ClaimOutcome,
  type DedupeStore,
  StoreUnavailable,
} from '../../src/ports/dedupe-store.ts';
import type { AppendVerdict, LogRecord } from '../../src/ports/event-log.ts';
import type { GroupFact } from '../../src/ports/report.ts';

/** A dedupe store in memory whose calls are recorded and can be made to fail. */
function memoryStore() {
  const claims = new Map<string, string>();
  const stored = new Map<string, number>();
  const calls: string[] = [];
  const state = { down: false };
  const store: DedupeStore = {
    async claim(list, owner) {
      calls.push(`claim ${list.length}`);
      if (state.down) throw new StoreUnavailable('down');
      return list.map(({ key, checksum }): ClaimOutcome => {
        const before = stored.get(key);
        if (before !== undefined) return before === checksum ? 'duplicate' : 'changed';
        if (claims.has(key) && claims.get(key) !== owner) return 'pending';
        claims.set(key, owner);
        return 'claimed';
      });
    },
    async confirm(list, owner) {
      calls.push(`confirm ${list.length}`);
      if (state.down) throw new StoreUnavailable('down');
      for (const { key, checksum } of list) {
        if ((claims.get(key) ?? owner) !== owner) continue;
        claims.delete(key);
        stored.set(key, checksum);
      }
    },
    async release(list, owner) {
      calls.push(`release ${list.length}`);
      for (const { key } of list) if (claims.get(key) === owner) claims.delete(key);
    },
    async close() {},
  };
  return { store, claims, stored, calls, state };
}

/** A log in memory; `next` decides what the coming append says, and may hold it. */
function memoryLog() {
  const records: LogRecord[] = [];
  const state: { next: (records: LogRecord[]) => Promise<AppendVerdict[]> | AppendVerdict[] } = {
    next: (list) => list.map(() => 'stored'),
  };
  return {
    records,
    state,
    appends: [] as number[],
    async append(list: LogRecord[]) {
      this.appends.push(list.length);
      const verdicts = await state.next(list);
      list.forEach((record, i) => {
        if (verdicts[i] === 'stored') records.push(record);
      });
      return verdicts;
    },
  };
}

function setup(options: { outage?: 'accept' | 'refuse'; timeout?: number; lease?: number } = {}) {
  const memory = memoryStore();
  const log = memoryLog();
  const facts: GroupFact[] = [];
  const groups = new CommitGroups({
    topic: 't',
    log,
    dedupe: memory.store,
    recent: new RecentIds({ ids: 1000, life: 60_000 }),
    report: (fact) => fact.kind === 'group' && facts.push(fact),
    outage: options.outage ?? 'refuse',
    timeout: options.timeout ?? 5000,
    lease: options.lease ?? 30_000,
    tooLarge: (record) => ({ ...record, topic: 't.rejected', value: null }),
  });
  return { ...memory, log, facts, groups };
}

const claimOf = (id: string, checksum = 1): Claim => ({ key: id, checksum });

function item(id: string, checksum = 1): Item {
  const record = { topic: 't', key: null, value: new Uint8Array([checksum]), headers: { ce_id: id } };
  return makeItem(record, claimOf(id, checksum), 'accepted');
}

/** A promise to be resolved by hand. */
function gate() {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

describe('the commit group', () => {
  it('shares one claim, one append and one confirm between requests of one tick', async () => {
    const { groups, log, calls, facts } = setup();
    const items = Array.from({ length: 20 }, (_, i) => item(`a${i}`));
    await Promise.all(items.map((one) => groups.submit([one])));
    await groups.idle();
    expect(items.map((one) => one.verdict)).toEqual(items.map(() => 'accepted'));
    expect(log.appends).toEqual([20]);
    expect(calls).toEqual(['claim 20', 'confirm 20']);
    expect(facts).toHaveLength(1);
  });

  it('confirms a group in the same tick as the next one is claimed', async () => {
    const { groups, log, calls } = setup();
    const second = item('b');
    let waiting: Promise<void> | null = null;
    log.state.next = (list) => {
      waiting ??= groups.submit([second]);
      return list.map(() => 'stored');
    };
    await groups.submit([item('a')]);
    await waiting;
    await groups.idle();
    expect(calls).toEqual(['claim 1', 'confirm 1', 'claim 1', 'confirm 1']);
    expect(second.verdict).toBe('accepted');
  });

  it('gives copies inside one group the outcome of the first', async () => {
    const { groups, log } = setup();
    const items = [item('a'), item('a'), item('b'), item('a', 2)];
    await groups.submit(items);
    expect(items.map((one) => [one.verdict, one.changed])).toEqual([
      ['accepted', false],
      ['duplicate', false],
      ['accepted', false],
      ['duplicate', true],
    ]);
    expect(log.records).toHaveLength(2);
  });

  it('a copy that meets a claim in flight waits for its outcome: never a false duplicate', async () => {
    const { groups, log } = setup();
    const hold = gate();
    log.state.next = async (list) => {
      await hold.opened;
      return list.map(() => 'failed');
    };
    const first = item('a');
    const firstDone = groups.submit([first]);
    await new Promise((resolve) => setImmediate(resolve));
    const copy = item('a');
    const copyDone = groups.submit([copy]);
    expect(copy.verdict).toBeNull();
    log.state.next = (list) => list.map(() => 'stored');
    hold.open();
    await Promise.all([firstDone, copyDone]);
    expect([first.verdict, copy.verdict]).toEqual(['retry', 'accepted']);
    expect(log.records).toHaveLength(1);
  });

  it('C30 an append that fails releases its ids, so the resend is accepted', async () => {
    const { groups, log, claims } = setup();
    log.state.next = (list) => list.map(() => 'failed');
    const first = [item('a'), item('b')];
    await groups.submit(first);
    expect(first.map((one) => [one.verdict, one.code])).toEqual([
      ['retry', 'log_unavailable'],
      ['retry', 'log_unavailable'],
    ]);
    await groups.idle();
    expect(claims.size).toBe(0);
    log.state.next = (list) => list.map(() => 'stored');
    const again = item('a');
    await groups.submit([again]);
    expect(again.verdict).toBe('accepted');
  });

  it('an append that throws is not known to be stored', async () => {
    const { groups, log, claims, facts } = setup();
    log.state.next = () => Promise.reject(new Error('boom'));
    const one = item('a');
    await groups.submit([one]);
    await groups.idle();
    expect(one.verdict).toBe('retry');
    expect(claims.size).toBe(0);
    expect(facts[0]!.error).toBe('boom');
  });

  it('C31 a claim is renewed while its append takes longer, and late waiters are told retry', async () => {
    const { groups, log, calls, stored } = setup({ timeout: 40, lease: 30 });
    const hold = gate();
    log.state.next = async (list) => {
      await hold.opened;
      return list.map(() => 'stored');
    };
    const slow = item('a');
    const open = item('b');
    const slowDone = groups.submit([slow]);
    await new Promise((resolve) => setImmediate(resolve));
    const openDone = groups.submit([open]);
    await Promise.all([slowDone, openDone]);
    expect([slow.verdict, open.verdict]).toEqual(['retry', 'retry']);
    await expect.poll(() => calls.filter((call) => call === 'claim 1').length).toBeGreaterThan(1);
    hold.open();
    await groups.idle();
    // The append came through after all: the resend is a duplicate of what is in the log, not a second record.
    expect([...stored.keys()]).toEqual(['a']);
    const resend = item('a');
    await groups.submit([resend]);
    expect(resend.verdict).toBe('duplicate');
    expect(log.records.map((record) => record.headers.ce_id)).toEqual(['a']);
  });

  it('without the dedupe store, `refuse` says retry and `accept` stores with a mark, to be confirmed later', async () => {
    const refusing = setup({ outage: 'refuse' });
    refusing.state.down = true;
    const refused = item('a');
    await refusing.groups.submit([refused]);
    expect([refused.verdict, refused.code]).toEqual(['retry', 'dedupe_unavailable']);
    expect(refusing.log.records).toEqual([]);

    const accepting = setup({ outage: 'accept' });
    accepting.state.down = true;
    const accepted = item('a');
    await accepting.groups.submit([accepted]);
    expect(accepted.verdict).toBe('accepted');
    expect(accepting.log.records[0]!.headers.ce_dedupe).toBe('unchecked');
    accepting.state.down = false;
    const next = item('b');
    await accepting.groups.submit([next]);
    await accepting.groups.idle();
    expect([...accepting.stored.keys()].sort()).toEqual(['a', 'b']);
  });

  it('says retry while another process holds the id', async () => {
    const { groups, claims, log } = setup();
    claims.set('a', 'somebody else');
    const one = item('a');
    const other = item('b');
    await groups.submit([one, other]);
    expect([one.verdict, one.code, other.verdict]).toEqual(['retry', 'id_in_flight', 'accepted']);
    expect(log.records).toHaveLength(1);
  });

  it('C39 a record that the log finds too large is refused alone and kept without its payload', async () => {
    const { groups, log, claims } = setup();
    log.state.next = (list) =>
      list.map((record) =>
        record.headers.ce_id === 'big' && record.value !== null ? 'too_large' : 'stored',
      );
    const items = [item('a'), item('big'), item('c')];
    await groups.submit(items);
    await groups.idle();
    expect(items.map((one) => [one.verdict, one.code])).toEqual([
      ['accepted', null],
      ['rejected', 'event_too_large'],
      ['accepted', null],
    ]);
    expect(log.records.map((record) => record.topic)).toEqual(['t', 't', 't.rejected']);
    expect(claims.size).toBe(0);
  });

  it('closes a group at 500 events', async () => {
    const { groups, log } = setup();
    await groups.submit(Array.from({ length: 1201 }, (_, i) => item(`x${i}`)));
    expect(log.appends).toEqual([500, 500, 201]);
  });
});
