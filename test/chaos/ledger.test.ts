import { expect, it } from 'vitest';
import {
  type Attempt,
  type Copy,
  type Heard,
  judge,
  judgeDeliveries,
  type Story,
  type Trouble,
} from './ledger.ts';

/** Attempts one second apart, from second 0, each of 100 ms. */
function attempts(...heard: (Heard | `retry:${string}`)[]): Attempt[] {
  return heard.map((one, i) => {
    const [verdict, code = null] = one.split(':') as [Heard, string?];
    return { gateway: i % 2, start: i * 1000, end: i * 1000 + 100, heard: verdict, code };
  });
}

const copy = (time: number, more: Partial<Copy> = {}): Copy => ({
  time,
  unchecked: false,
  intact: true,
  ...more,
});
const story = (more: Partial<Story>): Story => ({
  id: 'e-1',
  topic: 't',
  valid: true,
  attempts: [],
  copies: [],
  kept: 0,
  ...more,
});

it.each<[string, Partial<Story>]>([
  ['stored once', { attempts: attempts('accepted'), copies: [copy(50)] }],
  ['stored once', { attempts: attempts('retry', 'duplicate'), copies: [copy(50)] }],
  ['rejected and kept', { valid: false, attempts: attempts('rejected'), kept: 1 }],
  ['refused and absent', { attempts: attempts('retry', 'none') }],
  ['refused and absent', { valid: false, attempts: attempts('retry') }],
  ['refused and stored', { attempts: attempts('none'), copies: [copy(50)] }],
  ['refused and stored', { valid: false, attempts: attempts('none'), kept: 1 }],
  ['acknowledged and missing', { attempts: attempts('accepted') }],
  ['acknowledged and missing', { attempts: attempts('accepted', 'duplicate') }],
  ['duplicate of nothing', { attempts: attempts('retry', 'duplicate') }],
  [
    'stored twice without a cause',
    { attempts: attempts('accepted', 'accepted'), copies: [copy(50), copy(1050)] },
  ],
  ['stored twice without a cause', { attempts: attempts('none', 'none'), copies: [copy(50), copy(1050)] }],
  ['accepted more often than stored', { attempts: attempts('accepted', 'accepted'), copies: [copy(50)] }],
  ['rejected and not kept', { valid: false, attempts: attempts('rejected') }],
  ['valid but rejected', { attempts: attempts('rejected'), kept: 1 }],
  ['valid but rejected', { attempts: attempts('accepted'), copies: [copy(50)], kept: 1 }],
  ['invalid but acknowledged', { valid: false, attempts: attempts('accepted') }],
  ['invalid but stored', { valid: false, attempts: attempts('rejected'), copies: [copy(50)], kept: 1 }],
  ['altered', { attempts: attempts('accepted'), copies: [copy(50, { intact: false })] }],
  ['never sent', { copies: [copy(50)] }],
])('%s', (outcome, more) => {
  expect(judge(story(more), []).outcome).toBe(outcome);
});

const twice = (heard: Attempt[], ...copies: Copy[]) => story({ attempts: heard, copies });

it.each<[string, Story, Trouble[]]>([
  ['unchecked', twice(attempts('accepted', 'accepted'), copy(50), copy(1050, { unchecked: true })), []],
  ['unchecked', twice(attempts('accepted', 'accepted'), copy(1050), copy(50, { unchecked: true })), []],
  [
    'gateway killed',
    twice(attempts('none', 'accepted'), copy(50), copy(1050)),
    [{ what: 'gateway killed', gateway: 0, from: 80, to: 90 }],
  ],
  [
    'gateway killed',
    // Redis was away, so that the id could not be confirmed before the kill.
    twice(attempts('accepted', 'accepted'), copy(50), copy(9050)),
    [
      { what: 'redis', from: 40, to: 8000 },
      { what: 'gateway killed', gateway: 0, from: 7000, to: 7010 },
    ],
  ],
  [
    'append unanswered',
    twice(attempts('retry:log_unavailable', 'accepted'), copy(50), copy(1050)),
    [{ what: 'kafka', from: 60, to: 900 }],
  ],
  [
    'redis emptied',
    twice(attempts('accepted', 'accepted'), copy(50), copy(1050)),
    [{ what: 'redis emptied', from: 500, to: 600 }],
  ],
  [
    'redis evicts',
    twice(attempts('accepted', 'accepted'), copy(50), copy(1050)),
    [{ what: 'redis evicts', from: 500, to: 2000 }],
  ],
  [
    'redis failed over',
    twice(attempts('accepted', 'accepted'), copy(50), copy(4050)),
    [{ what: 'redis failed over', from: 1500, to: 3000 }],
  ],
])('a second copy is explained: %s', (cause, told, troubles) => {
  expect(judge(told, troubles).causes).toEqual([cause]);
});

it.each<[string, Story, Trouble[]]>([
  [
    'another gateway was killed',
    twice(attempts('none', 'accepted'), copy(50), copy(1050)),
    [{ what: 'gateway killed', gateway: 1, from: 80, to: 90 }],
  ],
  [
    'the gateway was killed long afterwards',
    twice(attempts('accepted', 'accepted'), copy(50), copy(1050)),
    [{ what: 'gateway killed', gateway: 0, from: 5000, to: 5010 }],
  ],
  [
    'Kafka was away, but nobody was told',
    twice(attempts('accepted', 'accepted'), copy(50), copy(1050)),
    [{ what: 'kafka', from: 60, to: 900 }],
  ],
  [
    'an append failed without a fault of Kafka',
    twice(attempts('retry:log_unavailable', 'accepted'), copy(50), copy(1050)),
    [],
  ],
  [
    'Redis was emptied before the first',
    twice(attempts('accepted', 'accepted'), copy(50), copy(1050)),
    [{ what: 'redis emptied', from: 20, to: 40 }],
  ],
  [
    'Redis dropped ids before the first',
    twice(attempts('accepted', 'accepted'), copy(5050), copy(6050)),
    [{ what: 'redis evicts', from: 20, to: 40 }],
  ],
  [
    'Redis failed over long after the first was confirmed',
    twice(attempts('accepted', 'accepted'), copy(50), copy(9050)),
    [{ what: 'redis failed over', from: 5000, to: 6000 }],
  ],
  [
    'Redis failed over before the first',
    twice(attempts('accepted', 'accepted'), copy(4050), copy(9050)),
    [{ what: 'redis failed over', from: 1500, to: 3000 }],
  ],
  [
    'Redis was away, but not emptied',
    twice(attempts('accepted', 'accepted'), copy(50), copy(1050)),
    [{ what: 'redis', from: 500, to: 600 }],
  ],
])('a second copy is not explained: %s', (_, told, troubles) => {
  expect(judge(told, troubles).outcome).toBe('stored twice without a cause');
});

const deleted: Trouble = { what: 'topic deleted', topic: 't', from: 500, to: 600 };

it.each<[string, Partial<Story>, Trouble[]]>([
  ['deleted with its topic', { attempts: attempts('accepted') }, [deleted]],
  ['deleted with its topic', { attempts: attempts('none', 'duplicate') }, [deleted]],
  ['refused and absent', { attempts: attempts('none') }, [deleted]],
  ['stored once', { attempts: attempts('accepted', 'accepted'), copies: [copy(1050)] }, [deleted]],
  // Only the second was answered after the deletion.
  ['acknowledged and missing', { attempts: attempts('retry', 'accepted') }, [deleted]],
  ['acknowledged and missing', { attempts: attempts('accepted') }, [{ ...deleted, topic: 'other' }]],
  [
    'accepted more often than stored',
    { attempts: attempts('retry', 'accepted', 'accepted'), copies: [copy(1050)] },
    [deleted],
  ],
])('when its topic is deleted: %s', (outcome, more, troubles) => {
  expect(judge(story(more), troubles).outcome).toBe(outcome);
});

it('finds what was refused because another topic was in trouble', () => {
  const told = story({ attempts: attempts('retry:log_unavailable', 'accepted'), copies: [copy(1050)] });
  const trouble: Trouble = { what: 'kafka', topic: 't', from: 60, to: 900 };
  expect(judge(told, [{ ...trouble, topic: 'other' }]).outcome).toBe('failed with another topic');
  expect(judge(told, [trouble]).outcome).toBe('stored once');
});

it('explains each copy after the first on its own', () => {
  const copies = [copy(50), copy(1050), copy(2050, { unchecked: true })];
  const told = story({ attempts: attempts('none', 'accepted', 'accepted'), copies });
  const killed: Trouble = { what: 'gateway killed', gateway: 0, from: 80, to: 90 };
  expect(judge(told, [killed])).toEqual({ outcome: 'stored again', causes: ['gateway killed', 'unchecked'] });
  expect(judge(told, []).outcome).toBe('stored twice without a cause');
});

it('finds what was not delivered, and what was delivered to nobody who wanted it', () => {
  const count = judgeDeliveries({
    wanted: new Set(['a', 'b', 'c', 'd']),
    deleted: new Set(['d', 'e']),
    delivered: new Map([
      ['a', 3],
      ['b', 1],
      ['e', 1],
      ['x', 1],
    ]),
    dead: new Map([
      ['b', 1],
      ['c', 1],
      ['y', 1],
    ]),
  });
  expect(count).toMatchObject({ wanted: 4, again: 2, undelivered: ['d'], uninvited: ['x', 'y'] });
});
