import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Limits } from '../../../src/config/gateway/types.ts';
import { RequestError } from '../../../src/core/errors.ts';
import { RequestMemory } from '../../../src/gateway/memory/request-memory.ts';
import type { Reservation } from '../../../src/gateway/memory/reservation.ts';

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
function holding(
  memory: RequestMemory,
  bytes: number,
  address: string | null,
  source: string | null = 's',
): Reservation {
  const hold = memory.reserve(...guest(address, source));
  hold.grow(bytes);
  return hold;
}

/** A request whose body is being read; `ended` is called when it has to go. */
function body(
  memory: RequestMemory,
  address: string,
  ended: () => void,
  source: string | null = 's',
): Reservation {
  const hold = memory.reserve(...guest(address, source));
  hold.stop = ended;
  return hold;
}

afterEach(() => {
  vi.useRealTimers();
});

describe('the memory for bodies', () => {
  it('tells the log which limit of the config was reached', () => {
    const memory = new RequestMemory({ ...LIMITS, unauthenticated: 50 });
    holding(memory, 250, 'a');
    holding(memory, 200, 'b');
    const causeOf = (work: () => unknown) => {
      try {
        work();
      } catch (error) {
        return (error as RequestError).cause;
      }
      return null;
    };
    expect(causeOf(() => holding(memory, 51, 'a', 't'))).toBe('gateway.limits.perAddress');
    expect(causeOf(() => holding(memory, 51, 'c'))).toBe('gateway.limits.perSource');
    const few = new RequestMemory({ ...LIMITS, requests: 4 });
    holding(few, 1, 'a');
    expect(causeOf(() => holding(few, 1, 'a'))).toBe('gateway.limits.requests');
  });

  it('is taken by what has come, and given back once', () => {
    const memory = new RequestMemory(LIMITS);
    const hold = memory.reserve(...guest('a'));
    expect(memory.bytes).toBe(0);
    hold.grow(100);
    hold.grow(50);
    expect(memory.bytes).toBe(150);
    hold.release();
    hold.release();
    hold.grow(10);
    expect(memory.bytes).toBe(0);
  });

  it('keeps a part from one address', () => {
    const memory = new RequestMemory(LIMITS);
    holding(memory, 250, 'a');
    const more = memory.reserve(...guest('a', 't'));
    expect(code(() => more.grow(51))).toBe('overloaded');
    expect(code(() => more.grow(50))).toBe('done');
    expect(code(() => holding(memory, 300, 'b', 't'))).toBe('done');
  });

  it('keeps a part from one source, whatever the addresses', () => {
    const memory = new RequestMemory(LIMITS);
    holding(memory, 250, 'a');
    holding(memory, 250, 'b');
    expect(code(() => holding(memory, 1, 'c'))).toBe('overloaded');
    expect(code(() => holding(memory, 300, 'c', 't'))).toBe('done');
  });

  it('gives little to those who are not let in yet, until they are', () => {
    const memory = new RequestMemory(LIMITS);
    const first = holding(memory, 150, 'a', null);
    const second = memory.reserve(...guest('b', null));
    expect(code(() => second.grow(60))).toBe('overloaded');
    memory.admit(first, 's');
    expect(code(() => second.grow(60))).toBe('done');
    expect(code(() => first.grow(100))).toBe('done');
    first.release();
    expect(memory.bytes).toBe(60);
  });

  it('is not kept from other strangers by the address that has most of their part', () => {
    const memory = new RequestMemory(LIMITS);
    const ended: string[] = [];
    for (const bytes of [60, 140]) {
      const large = holding(memory, bytes, 'a', null);
      large.stop = ({ code }) => void ended.push(`${bytes} ${code}`);
    }
    expect(code(() => memory.reserve(...guest('a', null)))).toBe('overloaded');
    const other = memory.reserve(...guest('b', null));
    expect(code(() => other.grow(50))).toBe('done');
    expect(ended).toEqual(['60 overloaded']);
    // It would have more than the other then.
    expect(code(() => other.grow(100))).toBe('overloaded');
    expect(code(() => other.grow(80))).toBe('done');
    expect(ended).toEqual(['60 overloaded', '140 overloaded']);
    expect(code(() => holding(memory, 80, 'a', null))).toBe('overloaded');
    expect(memory.bytes).toBe(130);
  });

  it('is not kept from other strangers by one address, also while its signatures are checked', () => {
    const memory = new RequestMemory({ ...LIMITS, body: 50 });
    holding(memory, 100, 'a', null);
    expect(code(() => holding(memory, 1, 'a', null))).toBe('overloaded');
    const other = holding(memory, 100, 'b', null);
    memory.admit(other, 's');
    expect(code(() => holding(memory, 100, 'b', null))).toBe('done');
  });

  it('has a place for others when one source takes all that it can by signatures', () => {
    const memory = new RequestMemory(LIMITS);
    for (const address of ['a', 'b', 'c']) {
      for (let i = 0; i < 4; i++) memory.admit(memory.reserve(...guest(address, null)), 's');
    }
    const late = memory.reserve(...guest('d', null));
    expect(code(() => memory.admit(late, 's'))).toBe('overloaded');
    late.release();
    expect(code(() => memory.reserve(...guest('d', 't')))).toBe('done');
  });

  it('lets nobody in whose source has no memory left', () => {
    const memory = new RequestMemory(LIMITS);
    holding(memory, 300, 'a');
    holding(memory, 150, 'b');
    const late = holding(memory, 100, 'c', null);
    expect(code(() => memory.admit(late, 's'))).toBe('overloaded');
    late.release();
    expect(memory.bytes).toBe(450);
  });

  it('says when a request could never fit', () => {
    const memory = new RequestMemory(LIMITS);
    const hold = memory.reserve(...guest('a'));
    expect(code(() => hold.grow(301))).toBe('body_too_large');
  });

  it('ends the body that comes slowest when it is full', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const memory = new RequestMemory(LIMITS);
    const ended: string[] = [];
    const slow = holding(memory, 10, 'a');
    slow.stop = (error) => void ended.push(`slow ${error.code}`);
    const slower = holding(memory, 290, 'b');
    slower.stop = () => void ended.push('large');
    vi.advanceTimersByTime(2000);
    const fresh = memory.reserve(...guest('c'));
    expect(code(() => fresh.grow(205))).toBe('done');
    expect(ended).toEqual(['slow overloaded']);
    expect(memory.bytes).toBe(495);
    // It holds nothing any more, whatever comes of it.
    slow.release();
    expect(memory.bytes).toBe(495);
  });

  it('ends nobody for one who is slower still', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const memory = new RequestMemory(LIMITS);
    const slow = holding(memory, 1, 'a');
    const others = ['b', 'c'].map((address) => body(memory, address, () => expect.unreachable()));
    for (let at = 0; at < 3000; at += 500) {
      vi.advanceTimersByTime(500);
      for (const other of others) other.grow(41);
    }
    expect(memory.bytes).toBe(493);
    expect(code(() => slow.grow(8))).toBe('overloaded');
  });

  it('ends the body that came fast and comes no longer', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const memory = new RequestMemory(LIMITS);
    const ended: string[] = [];
    body(memory, 'a', () => void ended.push('stalled')).grow(240);
    const steady = body(memory, 'b', () => void ended.push('steady'));
    for (let at = 0; at < 3000; at += 500) {
      vi.advanceTimersByTime(500);
      steady.grow(40);
    }
    expect(code(() => steady.grow(40))).toBe('done');
    expect(ended).toEqual(['stalled']);
    expect(memory.bytes).toBe(280);
  });

  it('takes memory from the address that has most, however fast it sends, and gives it none of what others have', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const memory = new RequestMemory(LIMITS);
    const ended: string[] = [];
    const greedy = () => body(memory, 'a', () => void ended.push('greedy'));
    const small = body(memory, 'b', () => void ended.push('small'), null);
    vi.advanceTimersByTime(2000);
    small.grow(20);
    const held = [greedy(), greedy(), greedy()];
    for (const one of held) one.grow(80);
    expect(code(() => held[0]!.grow(70))).toBe('overloaded');
    const other = body(memory, 'c', () => expect.unreachable());
    other.grow(220);
    expect(code(() => body(memory, 'a', () => {}).grow(50))).toBe('overloaded');
    expect(code(() => holding(memory, 60, 'd'))).toBe('done');
    expect(ended).toEqual(['greedy']);
  });

  it('lets in later whom the memory of a source is too small for now', () => {
    const memory = new RequestMemory({ ...LIMITS, unauthenticated: 300 });
    const first = holding(memory, 300, 'a');
    const late = holding(memory, 280, 'b', null);
    expect(code(() => memory.admit(late, 's'))).toBe('overloaded');
    first.release();
    expect(code(() => memory.admit(late, 's'))).toBe('done');
  });

  it('has a place for others when one address takes all that it can', () => {
    const memory = new RequestMemory(LIMITS);
    for (let i = 0; i < 4; i++) memory.reserve(...guest('a'));
    expect(code(() => memory.reserve(...guest('a')))).toBe('overloaded');
    expect(code(() => memory.reserve(...guest('b')))).toBe('done');
  });

  it('forgets addresses that have gone', () => {
    const memory = new RequestMemory(LIMITS);
    for (let i = 0; i < 10_000; i++) memory.reserve(...guest(`2001:db8:${i.toString(16)}::`)).release();
    for (let i = 0; i < 4; i++) memory.reserve(...guest('a'));
    expect(code(() => memory.reserve(...guest('a')))).toBe('overloaded');
    expect(memory.bytes).toBe(0);
  });
});
