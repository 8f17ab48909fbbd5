import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Limits } from '../../src/config/gateway/types.ts';
import { RequestError } from '../../src/core/errors.ts';
import { type Hold, Room } from '../../src/gateway/room.ts';

const LIMITS = {
  buffered: 1000,
  requests: 16,
  unauthenticated: 200,
  perSource: 500,
  perAddress: 300,
} as Limits;

const code = (work: () => unknown): string => {
  try {
    work();
    return 'done';
  } catch (error) {
    expect(error).toBeInstanceOf(RequestError);
    return (error as RequestError).code;
  }
};
const guest = (address: string | null, source: string | null = 's') => [source, address] as const;
/** A request that has taken so many bytes. */
function holding(room: Room, bytes: number, address: string | null, source: string | null = 's'): Hold {
  const hold = room.enter(...guest(address, source));
  hold.grow(bytes);
  return hold;
}

/** A request whose body is being read; `ended` is called when it has to go. */
function body(room: Room, address: string, ended: () => void, source: string | null = 's'): Hold {
  const hold = room.enter(...guest(address, source));
  hold.stop = ended;
  return hold;
}

afterEach(() => {
  vi.useRealTimers();
});

describe('the room for bodies', () => {
  it('tells the log which limit of the config was reached', () => {
    const room = new Room({ ...LIMITS, unauthenticated: 50 });
    holding(room, 250, 'a');
    holding(room, 200, 'b');
    const causeOf = (work: () => unknown) => {
      try {
        work();
      } catch (error) {
        return (error as RequestError).cause;
      }
      return null;
    };
    expect(causeOf(() => holding(room, 51, 'a', 't'))).toBe('gateway.limits.perAddress');
    expect(causeOf(() => holding(room, 51, 'c'))).toBe('gateway.limits.perSource');
    const few = new Room({ ...LIMITS, requests: 4 });
    holding(few, 1, 'a');
    expect(causeOf(() => holding(few, 1, 'a'))).toBe('gateway.limits.requests');
  });

  it('is taken by what has come, and given back once', () => {
    const room = new Room(LIMITS);
    const hold = room.enter(...guest('a'));
    expect(room.bytes).toBe(0);
    hold.grow(100);
    hold.grow(50);
    expect(room.bytes).toBe(150);
    hold.leave();
    hold.leave();
    hold.grow(10);
    expect(room.bytes).toBe(0);
  });

  it('keeps a part from one address', () => {
    const room = new Room(LIMITS);
    holding(room, 250, 'a');
    const more = room.enter(...guest('a', 't'));
    expect(code(() => more.grow(51))).toBe('overloaded');
    expect(code(() => more.grow(50))).toBe('done');
    expect(code(() => holding(room, 300, 'b', 't'))).toBe('done');
  });

  it('keeps a part from one source, whatever the addresses', () => {
    const room = new Room(LIMITS);
    holding(room, 250, 'a');
    holding(room, 250, 'b');
    expect(code(() => holding(room, 1, 'c'))).toBe('overloaded');
    expect(code(() => holding(room, 300, 'c', 't'))).toBe('done');
  });

  it('gives little to those who are not let in yet, until they are', () => {
    const room = new Room(LIMITS);
    const first = holding(room, 150, 'a', null);
    const second = room.enter(...guest('b', null));
    expect(code(() => second.grow(60))).toBe('overloaded');
    room.admit(first, 's');
    expect(code(() => second.grow(60))).toBe('done');
    expect(code(() => first.grow(100))).toBe('done');
    first.leave();
    expect(room.bytes).toBe(60);
  });

  it('is not kept from other strangers by the address that has most of their part', () => {
    const room = new Room(LIMITS);
    const ended: string[] = [];
    for (const bytes of [60, 140]) {
      const large = holding(room, bytes, 'a', null);
      large.stop = ({ code }) => void ended.push(`${bytes} ${code}`);
    }
    expect(code(() => room.enter(...guest('a', null)))).toBe('overloaded');
    const other = room.enter(...guest('b', null));
    expect(code(() => other.grow(50))).toBe('done');
    expect(ended).toEqual(['60 overloaded']);
    // It would have more than the other then.
    expect(code(() => other.grow(100))).toBe('overloaded');
    expect(code(() => other.grow(80))).toBe('done');
    expect(ended).toEqual(['60 overloaded', '140 overloaded']);
    expect(code(() => holding(room, 80, 'a', null))).toBe('overloaded');
    expect(room.bytes).toBe(130);
  });

  it('is not kept from other strangers by one address, also while its signatures are checked', () => {
    const room = new Room({ ...LIMITS, body: 50 });
    holding(room, 100, 'a', null);
    expect(code(() => holding(room, 1, 'a', null))).toBe('overloaded');
    const other = holding(room, 100, 'b', null);
    room.admit(other, 's');
    expect(code(() => holding(room, 100, 'b', null))).toBe('done');
  });

  it('has a place for others when one source takes all that it can by signatures', () => {
    const room = new Room(LIMITS);
    for (const address of ['a', 'b', 'c']) {
      for (let i = 0; i < 4; i++) room.admit(room.enter(...guest(address, null)), 's');
    }
    const late = room.enter(...guest('d', null));
    expect(code(() => room.admit(late, 's'))).toBe('overloaded');
    late.leave();
    expect(code(() => room.enter(...guest('d', 't')))).toBe('done');
  });

  it('lets nobody in whose source has no room left', () => {
    const room = new Room(LIMITS);
    holding(room, 300, 'a');
    holding(room, 150, 'b');
    const late = holding(room, 100, 'c', null);
    expect(code(() => room.admit(late, 's'))).toBe('overloaded');
    late.leave();
    expect(room.bytes).toBe(450);
  });

  it('says when a request could never fit', () => {
    const room = new Room(LIMITS);
    const hold = room.enter(...guest('a'));
    expect(code(() => hold.grow(301))).toBe('body_too_large');
  });

  it('ends the body that comes slowest when it is full', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const room = new Room(LIMITS);
    const ended: string[] = [];
    const slow = holding(room, 10, 'a');
    slow.stop = (error) => void ended.push(`slow ${error.code}`);
    const slower = holding(room, 290, 'b');
    slower.stop = () => void ended.push('large');
    vi.advanceTimersByTime(2000);
    const fresh = room.enter(...guest('c'));
    expect(code(() => fresh.grow(205))).toBe('done');
    expect(ended).toEqual(['slow overloaded']);
    expect(room.bytes).toBe(495);
    // It holds nothing any more, whatever comes of it.
    slow.leave();
    expect(room.bytes).toBe(495);
  });

  it('ends nobody for one who is slower still', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const room = new Room(LIMITS);
    const slow = holding(room, 1, 'a');
    const others = ['b', 'c'].map((address) => body(room, address, () => expect.unreachable()));
    for (let at = 0; at < 3000; at += 500) {
      vi.advanceTimersByTime(500);
      for (const other of others) other.grow(41);
    }
    expect(room.bytes).toBe(493);
    expect(code(() => slow.grow(8))).toBe('overloaded');
  });

  it('ends the body that came fast and comes no longer', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const room = new Room(LIMITS);
    const ended: string[] = [];
    body(room, 'a', () => void ended.push('stalled')).grow(240);
    const steady = body(room, 'b', () => void ended.push('steady'));
    for (let at = 0; at < 3000; at += 500) {
      vi.advanceTimersByTime(500);
      steady.grow(40);
    }
    expect(code(() => steady.grow(40))).toBe('done');
    expect(ended).toEqual(['stalled']);
    expect(room.bytes).toBe(280);
  });

  it('takes room from the address that has most, however fast it sends, and gives it none of what others have', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const room = new Room(LIMITS);
    const ended: string[] = [];
    const greedy = () => body(room, 'a', () => void ended.push('greedy'));
    const small = body(room, 'b', () => void ended.push('small'), null);
    vi.advanceTimersByTime(2000);
    small.grow(20);
    const held = [greedy(), greedy(), greedy()];
    for (const one of held) one.grow(80);
    expect(code(() => held[0]!.grow(70))).toBe('overloaded');
    const other = body(room, 'c', () => expect.unreachable());
    other.grow(220);
    expect(code(() => body(room, 'a', () => {}).grow(50))).toBe('overloaded');
    expect(code(() => holding(room, 60, 'd'))).toBe('done');
    expect(ended).toEqual(['greedy']);
  });

  it('lets in later whom the room of a source is too small for now', () => {
    const room = new Room({ ...LIMITS, unauthenticated: 300 });
    const first = holding(room, 300, 'a');
    const late = holding(room, 280, 'b', null);
    expect(code(() => room.admit(late, 's'))).toBe('overloaded');
    first.leave();
    expect(code(() => room.admit(late, 's'))).toBe('done');
  });

  it('has a place for others when one address takes all that it can', () => {
    const room = new Room(LIMITS);
    for (let i = 0; i < 4; i++) room.enter(...guest('a'));
    expect(code(() => room.enter(...guest('a')))).toBe('overloaded');
    expect(code(() => room.enter(...guest('b')))).toBe('done');
  });

  it('forgets addresses that have gone', () => {
    const room = new Room(LIMITS);
    for (let i = 0; i < 10_000; i++) room.enter(...guest(`2001:db8:${i.toString(16)}::`)).leave();
    for (let i = 0; i < 4; i++) room.enter(...guest('a'));
    expect(code(() => room.enter(...guest('a')))).toBe('overloaded');
    expect(room.bytes).toBe(0);
  });
});
