import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SubscriptionConfig } from '../../src/config/subscription/types.ts';
import { Replies } from '../../src/dispatcher/replies.ts';
import type { FunctionReply } from '../../src/function/answer.ts';
import { MAX_HOPS } from '../../src/function/reply-record.ts';
import type { AppendVerdict, EventLog, StoredRecord } from '../../src/ports/event-log.ts';
import { foreign, stored } from './records.ts';
import { Changes, changedLog, eventRecord, Rig, subscription } from './rig.ts';

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const OTHER = '00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';

let rig: Rig;
const made: Replies[] = [];
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(async () => {
  for (const replies of made.splice(0)) replies.close();
  await rig.close();
});

function replies(log: EventLog = rig.log): Replies {
  const one = new Replies({
    log,
    subscription: 'mail',
    topic: 'answers',
    random: () => 0,
    report: rig.facts.report,
  });
  made.push(one);
  return one;
}

const answer = (id: string, more: Record<string, string> = {}, body = '{}'): FunctionReply => ({
  headers: {
    'ce-specversion': '1.0',
    'ce-id': id,
    'ce-source': '/fn',
    'ce-type': 'fn.done',
    'content-type': 'application/json',
    ...more,
  },
  body: Buffer.from(body),
});
const texts = ({ headers }: StoredRecord) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value).toString()]));
const keyed = (key: string | null, headers: Record<string, string> = {}) =>
  stored('{}', headers, { key: key === null ? null : Buffer.from(key) });

describe('a reply', () => {
  it('is stored as a CloudEvent of its own, one hop on, in the trace and under the key of what it answers', async () => {
    const event = keyed('k-1', { traceparent: TRACE, tracestate: 'a=1', ce_more: 'not copied' });
    expect(await replies().publish([event], answer('r-1', {}, '{ "n": 1.0 }'))).toBeNull();
    const [record] = await rig.read('answers', 1);
    expect(texts(record!)).toEqual({
      ce_specversion: '1.0',
      ce_id: 'r-1',
      ce_source: '/fn',
      ce_type: 'fn.done',
      ce_posternhops: '1',
      'content-type': 'application/json',
      traceparent: TRACE,
      tracestate: 'a=1',
    });
    expect(Buffer.from(record!.value!).toString()).toBe('{ "n": 1.0 }');
    expect(Buffer.from(record!.key!).toString()).toBe('k-1');
    expect(rig.facts.replies).toEqual([
      { kind: 'reply', subscription: 'mail', outcome: 'stored', events: 1 },
    ]);
  });

  it('has the trace and the key that the function gave it, with no tracestate of another', async () => {
    const event = keyed('k-1', { traceparent: TRACE, tracestate: 'a=1' });
    await replies().publish([event], answer('r-1', { traceparent: OTHER, 'ce-partitionkey': 'k-2' }));
    const [record] = await rig.read('answers', 1);
    expect(texts(record!)).toMatchObject({ traceparent: OTHER, ce_partitionkey: 'k-2' });
    expect(texts(record!).tracestate).toBeUndefined();
    expect(Buffer.from(record!.key!).toString()).toBe('k-2');
  });

  it('to several events has the key and the trace that they share, and the most hops of them', async () => {
    const all = replies();
    const one = keyed('k', { traceparent: TRACE, ce_posternhops: '2' });
    const two = keyed('k', { traceparent: TRACE.replace('b7', 'c8'), ce_posternhops: '5' });
    await all.publish([one, two], answer('same'));
    await all.publish([one, keyed('other', { traceparent: OTHER })], answer('mixed'));
    await all.publish([one, keyed(null)], answer('half'));
    const [same, mixed, half] = await rig.read('answers', 3);
    expect(texts(same!)).toMatchObject({ traceparent: TRACE, ce_posternhops: '6' });
    expect(Buffer.from(same!.key!).toString()).toBe('k');
    for (const record of [mixed!, half!]) {
      expect(record.key).toBeNull();
      expect(texts(record).traceparent).toBeUndefined();
    }
  });

  it('cannot reset its hops', async () => {
    const event = keyed('k', { ce_posternhops: '3' });
    await replies().publish([event], answer('r-1', { 'ce-posternhops': '0' }));
    expect(texts((await rig.read('answers', 1))[0]!).ce_posternhops).toBe('4');
  });

  it('of a structured record counts the hops in it', async () => {
    const json = '{"specversion":"1.0","id":"1","source":"/s","type":"t","posternhops":8}';
    await replies().publish([foreign(json, { 'content-type': 'application/cloudevents+json' })], answer('r'));
    expect(texts((await rig.read('answers', 1))[0]!).ce_posternhops).toBe('9');
  });

  it('to an event after the most hops is not stored', async () => {
    const all = replies();
    expect(
      await all.publish([keyed('k', { ce_posternhops: String(MAX_HOPS - 1) })], answer('last')),
    ).toBeNull();
    const fault = await all.publish([keyed('k', { ce_posternhops: String(MAX_HOPS) })], answer('loop'));
    expect(fault).toEqual({ fault: 'too_many_hops', detail: expect.stringMatching(/16.*loop/) });
    // A number beyond all is no way round.
    const huge = await all.publish([keyed('k', { ce_posternhops: '9'.repeat(400) })], answer('loop'));
    expect(huge?.fault).toBe('too_many_hops');
    await all.publish([keyed('k')], answer('after'));
    expect((await rig.read('answers', 2)).map((record) => texts(record).ce_id)).toEqual(['last', 'after']);
    expect(rig.facts.replies.map(({ outcome }) => outcome)).toEqual([
      'stored',
      'too_many_hops',
      'too_many_hops',
      'stored',
    ]);
  });

  it('that is no proper event is the fault of the function, and stores nothing, not even the good part', async () => {
    const all = replies();
    const body =
      '[{"specversion":"1.0","id":"good","source":"/s","type":"t"},{"specversion":"1.0","id":"bad"}]';
    const fault = await all.publish([keyed('k')], {
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: Buffer.from(body),
    });
    expect(fault).toEqual({ fault: 'bad_reply', detail: 'the reply: event 1: attribute source is missing' });
    await all.publish([keyed('k')], answer('after'));
    expect((await rig.read('answers', 1)).map((record) => texts(record).ce_id)).toEqual(['after']);
  });

  it('that is no event stores nothing and is no fault', async () => {
    const appends: number[] = [];
    const log = changedLog(rig.log, {
      append: (records) => {
        appends.push(records.length);
        return rig.log.append(records);
      },
    });
    const plain = { headers: { 'content-type': 'text/plain' }, body: Buffer.from('OK') };
    expect(await replies(log).publish([keyed('k')], plain)).toBeNull();
    expect(appends).toEqual([]);
    expect(rig.facts.replies).toEqual([]);
  });
});

describe('a topic of replies', () => {
  it('gets those that come during an append in one', async () => {
    const appends: number[] = [];
    const log = changedLog(rig.log, {
      append: (records) => {
        appends.push(records.length);
        return rig.log.append(records);
      },
    });
    const all = replies(log);
    await Promise.all(Array.from({ length: 250 }, (_, i) => all.publish([keyed('k')], answer(`r-${i}`))));
    expect(appends).toEqual([1, 200, 49]);
  });

  it('that cannot be written for a while gets each reply once, when it can', async () => {
    let failures = 0;
    const log = changedLog(rig.log, {
      async append(records) {
        if (++failures === 1) throw new Error('away');
        if (failures === 2) {
          // Part of an append may be stored.
          const [verdict] = await rig.log.append(records.slice(0, 1));
          return records.map((_, i) => (i === 0 ? verdict! : 'failed'));
        }
        return rig.log.append(records);
      },
    });
    const all = replies(log);
    const ids = ['a', 'b', 'c', 'd'];
    expect(await Promise.all(ids.map((id) => all.publish([keyed('k')], answer(id))))).toEqual([
      null,
      null,
      null,
      null,
    ]);
    const found = (await rig.read('answers', 4)).map((record) => texts(record).ce_id);
    expect(found.sort()).toEqual(ids);
    expect(rig.facts.replies.filter(({ outcome }) => outcome === 'failed').length).toBeGreaterThan(0);
  });

  it('that finds a reply too large says so, also of one among several', async () => {
    const log = changedLog(rig.log, {
      append: async (records) => {
        const verdicts = await rig.log.append(records.filter(({ value }) => value!.length < 100));
        return records.map(({ value }) => (value!.length < 100 ? verdicts[0]! : 'too_large'));
      },
    });
    const all = replies(log);
    const large = `"${'x'.repeat(100)}"`;
    expect(await all.publish([keyed('k')], answer('large', {}, large))).toEqual({
      fault: 'too_large',
      detail: 'the reply has 102 bytes, more than answers takes',
    });
    const one = (id: string, data: string) =>
      `{"specversion":"1.0","id":"${id}","source":"/s","type":"t","data":${data}}`;
    const fault = await all.publish([keyed('k')], {
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: Buffer.from(`[${one('1', large)},${one('2', '1')}]`),
    });
    expect(fault?.fault).toBe('too_large');
  });

  it('that cannot be written when all is closed: what waits is given up, what is on its way may end', async () => {
    const changes = new Changes();
    let appends = 0;
    let release = () => {};
    const log = changedLog(rig.log, {
      async append(records) {
        appends++;
        changes.changed();
        if (appends === 1) return records.map(() => 'failed' as const);
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return appends === 2 ? rig.log.append(records) : records.map(() => 'failed' as const);
      },
    });
    const all = replies(log);
    const late = all.publish([keyed('k')], answer('late'));
    await changes.until(() => appends === 1);
    await new Promise(setImmediate);
    const going = all.publish([keyed('k')], answer('going'));
    await changes.until(() => appends === 2);
    all.close();
    expect((await late)?.fault).toBe('aborted');
    release();
    expect(await going).toBeNull();
    // Answers of calls that end meanwhile have one try.
    const last = all.publish([keyed('k')], answer('last'));
    await changes.until(() => appends === 3);
    release();
    expect((await last)?.fault).toBe('aborted');
  });
});

describe('a subscription with a reply topic', () => {
  const answering =
    (more: Record<string, string> = {}) =>
    ({ id }: { id: string }, response: ServerResponse) =>
      response
        .writeHead(200, {
          'ce-specversion': '1.0',
          'ce-id': `r-${id}`,
          'ce-source': '/fn',
          'ce-type': 'done',
          ...more,
        })
        .end();
  const start = (config: SubscriptionConfig, log: EventLog = rig.log) => rig.start([config], log);

  it('has an event done when its reply is stored, and not before', async () => {
    const target = await rig.function(answering());
    let release = (_: AppendVerdict[]) => {};
    const committed: number[] = [];
    const changes = new Changes();
    const log = changedLog(rig.log, {
      append: ([first]) =>
        first!.topic === 'answers'
          ? new Promise((resolve) => {
              release = resolve;
              changes.changed();
            })
          : Promise.reject(new Error('no other append is due')),
      consumption: (real) => ({
        commit: (positions) => {
          committed.push(...positions.map(({ offset }) => offset));
          return real.commit(positions);
        },
        pause: (partitions) => real.pause(partitions),
        resume: (partitions) => real.resume(partitions),
        stop: () => real.stop(),
      }),
    });
    await rig.append(['e1', 'e2']);
    const appending = changes.until(() => target.ids.length === 1);
    const dispatcher = await start(subscription(target, { reply: 'answers', concurrency: 1 }), log);
    await appending;
    expect(dispatcher.lag()[0]).toMatchObject({ value: 2 });
    expect(dispatcher.inflight()[0]).toMatchObject({ value: 1 });
    expect(rig.facts.events('delivered')).toBe(0);
    expect(committed).toEqual([]);
    // The place is kept meanwhile: what is not stored cannot pile up.
    expect(target.ids).toEqual(['e1']);
    release(['stored']);
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    await changes.until(() => target.ids.length === 2);
    release(['stored']);
    await rig.facts.until(() => rig.facts.events('delivered') === 2);
    await dispatcher.stop(1_000);
    expect(committed.at(-1)).toBe(2);
  });

  it.each([
    ['no proper event', { 'ce-type': '' }, 'bad_reply', 3],
    ['beyond the most hops', {}, 'too_many_hops', 1],
  ])('has an event whose reply is %s as a dead letter', async (_, headers, reason, calls) => {
    const target = await rig.function(answering(headers));
    const record = eventRecord('e1', '{}');
    record.headers.ce_posternhops = reason === 'too_many_hops' ? '16' : '1';
    await rig.log.append([record]);
    await start(subscription(target, { reply: 'answers' }));
    const [letter] = await rig.read('mail.dead', 1);
    expect(texts(letter!)).toMatchObject({ postern_reason: reason, postern_attempts: String(calls) });
    expect(target.ids).toHaveLength(calls);
    expect(rig.facts.replies.map(({ outcome }) => outcome)).toEqual(Array(calls).fill(reason));
  });

  it('has an event whose reply is too large for the log as a dead letter, after one call', async () => {
    const target = await rig.function(answering());
    const log = changedLog(rig.log, {
      append: async (records) =>
        records[0]!.topic === 'answers' ? records.map(() => 'too_large' as const) : rig.log.append(records),
    });
    await rig.append(['e1']);
    await start(subscription(target, { reply: 'answers' }), log);
    const [letter] = await rig.read('mail.dead', 1);
    expect(texts(letter!)).toMatchObject({ postern_reason: 'too_large', postern_attempts: '1' });
    expect(texts(letter!).postern_error).toContain('the reply has');
  });

  it('finds, of a batch, the one event that has had too many hops', async () => {
    const target = await rig.function(({ body }, response) => {
      const [{ id }] = JSON.parse(body) as { id: string }[] as [{ id: string }];
      answering()({ id }, response);
    });
    const records = ['e1', 'e2', 'e3', 'e4'].map((id) => eventRecord(id, '{}'));
    records[2]!.headers.ce_posternhops = '16';
    await rig.log.append(records);
    await start(
      subscription(target, { reply: 'answers', mode: 'batch', batch: { events: 4, wait: 50, size: 1e6 } }),
    );
    await rig.facts.until(() => rig.facts.events('delivered') === 3);
    const letters = await rig.read('mail.dead', 1);
    expect(letters.map((letter) => texts(letter).ce_id)).toEqual(['e3']);
    expect(texts(letters[0]!).postern_reason).toBe('too_many_hops');
  });

  it('that stops while replies cannot be stored leaves their events to the next, and makes no dead letter', async () => {
    const target = await rig.function(answering());
    let isLocked = true;
    const log = changedLog(rig.log, {
      append: async (records) =>
        isLocked && records[0]!.topic === 'answers'
          ? records.map(() => 'failed' as const)
          : rig.log.append(records),
    });
    await rig.append(['e1', 'e2']);
    // One attempt, which is spent, and no time for another.
    const config = subscription(target, {
      reply: 'answers',
      retry: { attempts: 1, min: 1, max: 5 },
      retryAge: 1,
    });
    const first = await start(config, log);
    await rig.facts.until(() => rig.facts.replies.reduce((sum, { events }) => sum + events, 0) >= 2);
    await first.stop(60_000);
    isLocked = false;
    await rig.reopen();
    await start(config);
    expect((await rig.read('answers', 2)).map((record) => texts(record).ce_id).sort()).toEqual([
      'r-e1',
      'r-e2',
    ]);
    expect(target.ids.sort()).toEqual(['e1', 'e1', 'e2', 'e2']);
    expect(rig.facts.events('dead_letter')).toBe(0);
  });

  it('takes what is no event for a plain success, and asks nothing more of others', async () => {
    const target = await rig.function((_, response) => response.end('OK'));
    await rig.append(['e1']);
    await start(subscription(target, { reply: 'answers' }));
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    const without = await rig.function(answering({ 'ce-type': '' }));
    await start(subscription(without, { name: 'other' }));
    await rig.facts.until(() => rig.facts.events('delivered', 'other') === 1);
    expect(rig.facts.replies).toEqual([]);
    expect(target.received[0]!.request.headers.prefer).toBe('reply');
    expect(without.received[0]!.request.headers.prefer).toBeUndefined();
  });
});
