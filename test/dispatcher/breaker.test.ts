import { describe, expect, test } from 'vitest';
import { Breaker, type BreakerCall } from '../../src/dispatcher/breaker.ts';
import type { Answer, CallFault } from '../../src/function/answer.ts';
import type { BreakerFact } from '../../src/ports/report.ts';

const status = (code: number): Answer => ({ ...fault('timeout'), status: code, fault: null });
const fault = (word: CallFault): Answer => ({
  status: null,
  fault: word,
  retryAfter: null,
  detail: '',
  ms: 1,
  failed: null,
  reply: null,
});

const event = (): BreakerCall => ({ event: {}, isAlone: true, failedAt: -1, begunAt: 0, excused: false });

class Bench {
  now = 5_000;
  random = 0;
  readonly facts: BreakerFact[] = [];
  readonly breaker: Breaker;

  constructor(concurrency = 1) {
    this.breaker = new Breaker({
      subscription: 'mail',
      concurrency,
      clock: () => this.now,
      random: () => this.random,
      changed: (facts) => this.facts.push(facts),
    });
  }

  /** One attempt; true when it counts. */
  call(
    answer: Answer,
    call = event(),
    { retryAfterMs = null as number | null, isLast = false } = {},
  ): boolean {
    this.breaker.began(call, false);
    return this.breaker.answered(call, answer, retryAfterMs, isLast);
  }

  calls(count: number, answer: Answer): boolean[] {
    return Array.from({ length: count }, () => this.call(answer));
  }
}

describe('opens', () => {
  test.each([
    ['5xx', status(503)],
    ['throttling', status(429)],
    ['a missing route', status(404)],
    ['timeouts', fault('timeout')],
    ['lost connections', fault('connection_lost')],
    ['connections refused', fault('unreachable')],
  ])('after five different events that end in %s', (_, answer) => {
    const bench = new Bench();
    expect(bench.calls(4, answer)).toEqual([true, true, true, true]);
    expect(bench.breaker.isOpen).toBe(false);
    expect(bench.breaker.wait).toBe(0);
    // The one that opens it costs no attempt.
    expect(bench.call(answer)).toBe(false);
    expect(bench.breaker.isOpen).toBe(true);
    expect(bench.facts).toMatchObject([{ subscription: 'mail', open: true, ms: null }]);
  });

  test('after as many as are called at once, since all of those may meet the same hiccup', () => {
    const bench = new Bench(20);
    expect(bench.calls(19, status(500)).every(Boolean)).toBe(true);
    expect(bench.breaker.isOpen).toBe(false);
    bench.call(status(500));
    expect(bench.breaker.isOpen).toBe(true);
  });

  test('not while others succeed, or are refused, in between', () => {
    const bench = new Bench();
    for (const answer of [status(200), status(400), status(409)]) {
      bench.calls(4, status(500));
      bench.call(answer);
    }
    bench.calls(4, status(500));
    expect(bench.breaker.isOpen).toBe(false);
  });

  test('not for one event that fails again and again', () => {
    const bench = new Bench();
    const call = event();
    for (let i = 0; i < 50; i++) expect(bench.call(status(500), call)).toBe(true);
    expect(bench.call(status(500), call, { isLast: true })).toBe(true);
    expect(bench.breaker.isOpen).toBe(false);
  });

  test('for one event that does not even get there', () => {
    const bench = new Bench();
    const call = event();
    const counts = Array.from({ length: 5 }, () => bench.call(fault('unreachable'), call));
    expect(counts).toEqual([true, true, true, true, false]);
    const other = new Bench();
    expect(other.call(fault('unreachable'), call, { isLast: true })).toBe(false);
    expect(other.breaker.isOpen).toBe(true);
  });

  test('rather than have an event given up, when five have failed and there are no more to call', () => {
    const bench = new Bench(100);
    bench.calls(4, status(503));
    expect(bench.call(status(503), event(), { isLast: true })).toBe(false);
    expect(bench.breaker.isOpen).toBe(true);
  });

  test('not for calls that were never made', () => {
    const bench = new Bench();
    for (const word of ['stale_connection', 'aborted', 'invalid_call'] as const) bench.calls(9, fault(word));
    expect(bench.breaker.isOpen).toBe(false);
  });
});

describe('while it is open', () => {
  function opened(retryAfterMs: number | null = null): Bench {
    const bench = new Bench();
    bench.calls(4, status(503));
    bench.call(status(503), event(), { retryAfterMs });
    return bench;
  }

  test('one call at a time to what cannot be reached, after 1 s, 2 s, 4 s, at most 30 s; none costs an attempt', () => {
    const bench = new Bench();
    bench.calls(5, fault('unreachable'));
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      const { wait } = bench.breaker;
      waits.push(wait);
      bench.now += wait;
      expect(bench.breaker.wait).toBe(0);
      const probe = event();
      bench.breaker.began(probe, false);
      expect(bench.breaker.wait).toBe(Number.POSITIVE_INFINITY);
      expect(bench.breaker.answered(probe, fault('unreachable'), null, true)).toBe(false);
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    expect(bench.facts).toHaveLength(1);
  });

  test('what answers is asked as often, once for each second of the wait, as others may be taken', () => {
    const bench = opened();
    const turns: number[] = [];
    for (let i = 0; i < 40; i++) {
      if (bench.breaker.wait > 0) turns.push(0);
      bench.now += bench.breaker.wait;
      bench.call(status(503));
      turns[turns.length - 1]!++;
    }
    expect(turns).toEqual([1, 2, 4, 8, 16, 9]);
  });

  test('the wait is up to a quarter shorter, and at least what the function asks for', () => {
    const bench = new Bench();
    bench.random = 0.8;
    bench.calls(5, status(503));
    expect(bench.breaker.wait).toBe(800);
    expect(opened(7_000).breaker.wait).toBe(7_000);
    expect(opened(10).breaker.wait).toBe(1_000);
  });

  test('C54 a function that is only too busy is asked sooner', () => {
    const bench = new Bench();
    bench.calls(5, status(429));
    const waits: number[] = [];
    for (let i = 0; i < 10; i++) {
      waits.push(bench.breaker.wait);
      bench.now += bench.breaker.wait;
      bench.call(status(429));
    }
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
  });

  test('C54 a probe that is told to wait is followed by that wait', () => {
    const bench = opened();
    bench.now += 1_000;
    bench.call(status(429), event(), { retryAfterMs: 20_000 });
    expect(bench.breaker.wait).toBe(20_000);
  });

  test('every second probe is an event that was not sent before', () => {
    const bench = opened();
    const wanted: boolean[] = [];
    for (let i = 0; i < 4; i++) {
      bench.now += bench.breaker.wait;
      wanted.push(bench.breaker.wantsNew);
      bench.call(status(503));
    }
    expect(wanted).toEqual([false, true, false, true]);
  });

  test('calls from before that fail change nothing, one that succeeds closes it', () => {
    const bench = opened();
    expect(bench.breaker.answered(event(), status(503), 9_000, true)).toBe(false);
    expect(bench.breaker.wait).toBe(1_000);
    bench.now += 400;
    expect(bench.breaker.answered(event(), status(200), null, false)).toBe(true);
    expect(bench.breaker.isOpen).toBe(false);
    expect(bench.breaker.wait).toBe(0);
    expect(bench.facts.at(-1)).toMatchObject({ subscription: 'mail', open: false, reason: null, ms: 400 });
  });

  test('a refusal closes it too: the function is there', () => {
    const bench = opened();
    bench.now += 1_000;
    bench.call(status(422));
    expect(bench.breaker.isOpen).toBe(false);
  });

  test('after it closed, it takes as many failures as before, and the waits begin anew', () => {
    const bench = opened();
    for (let i = 0; i < 3; i++) {
      bench.now += bench.breaker.wait;
      bench.call(status(503));
    }
    bench.now += bench.breaker.wait;
    bench.call(status(204));
    expect(bench.calls(4, status(503)).every(Boolean)).toBe(true);
    bench.call(status(503));
    expect(bench.breaker.wait).toBe(1_000);
  });

  test('a probe that was dropped, or met a stale connection, makes way for the next at once', () => {
    const bench = opened();
    bench.now += 1_000;
    const probe = event();
    bench.breaker.began(probe, false);
    bench.breaker.dropped(event());
    expect(bench.breaker.wait).toBe(Number.POSITIVE_INFINITY);
    bench.breaker.dropped(probe);
    expect(bench.breaker.wait).toBe(0);
    bench.call(fault('stale_connection'));
    expect(bench.breaker.isOpen).toBe(true);
    expect(bench.breaker.wait).toBe(0);
  });
});

describe('events that were never sent', () => {
  /** Open, with so many calls at once. */
  function opened(answer: Answer, concurrency = 16, retryAfterMs: number | null = null): Bench {
    const bench = new Bench(concurrency);
    for (let i = 0; i < concurrency; i++) bench.call(answer, event(), { retryAfterMs });
    expect(bench.breaker.isOpen).toBe(true);
    return bench;
  }

  /** Tries them until it has found `most`; returns how many it tried in so many seconds. */
  function searched(bench: Bench, answer: Answer, seconds: number): number {
    const end = bench.now + seconds * 1000;
    for (let tried = 0; ; tried++) {
      bench.now += bench.breaker.searchWait;
      if (bench.now > end) return tried;
      const call = event();
      bench.breaker.began(call, true);
      expect(bench.breaker.answered(call, answer, null, true)).toBe(false);
    }
  }

  test('are tried while it is open, ever fewer when all of them fail, and make no probe wait longer', () => {
    const bench = opened(status(500));
    expect(searched(bench, status(500), 1)).toBe(200);
    expect(bench.breaker.wait).toBe(0);
    expect(searched(bench, status(500), 60)).toBeLessThan(1_500);
    expect(searched(bench, status(500), 600)).toBeLessThan(1_500);
    expect(bench.breaker.searchWait).toBeLessThanOrEqual(1_000);
  });

  test('are tried a quarter of the calls at once', () => {
    const bench = opened(fault('timeout'));
    const calls = Array.from({ length: 4 }, event);
    for (const call of calls) {
      bench.now += bench.breaker.searchWait;
      bench.breaker.began(call, true);
    }
    expect(bench.breaker.searchWait).toBe(Number.POSITIVE_INFINITY);
    bench.breaker.dropped(calls[2]!);
    expect(bench.breaker.searchWait).toBeLessThan(10);
  });

  test.each([
    ['says 429', status(429), null],
    ['asks to wait', status(503), 20_000],
  ])('are tried once a second when the function %s', (_, answer, retryAfterMs) => {
    expect(opened(answer, 16, retryAfterMs).breaker.searchWait).toBe(1_000);
  });

  test('are not tried while the function cannot be reached', () => {
    const bench = opened(fault('unreachable'));
    expect(bench.breaker.searchWait).toBe(Number.POSITIVE_INFINITY);
    expect(bench.breaker.isReached).toBe(false);
    bench.now += 1_000;
    bench.call(status(503));
    expect(bench.breaker.searchWait).toBeLessThan(10);
  });
});

describe('an event that fails before and after the function took another', () => {
  const fails = (bench: Bench, calls: BreakerCall[]) => calls.map((call) => bench.call(status(500), call));

  test('is to blame itself: its attempts count, and hundreds of them do not open it', () => {
    const bench = new Bench();
    const bad = Array.from({ length: 300 }, event);
    expect(fails(bench, bad).includes(false)).toBe(true);
    bench.call(status(200));
    for (let i = 0; i < 8; i++) {
      for (const call of bad) expect(bench.call(status(500), call, { isLast: i === 7 })).toBe(true);
    }
    expect(bench.breaker.isOpen).toBe(false);
  });

  test('is not, when what failed while it was open succeeds: then it was the function', () => {
    const bench = new Bench();
    const events = Array.from({ length: 10 }, event);
    fails(bench, events);
    fails(bench, events);
    bench.call(status(200), events[9]);
    expect(fails(bench, events).slice(0, 5)).toEqual([true, true, true, true, false]);
    expect(bench.breaker.isOpen).toBe(true);
  });

  test('costs no attempt all the same while new ones fail too', () => {
    const bench = new Bench();
    const bad = Array.from({ length: 10 }, event);
    fails(bench, bad);
    bench.call(status(200));
    expect(bench.call(status(500), bad[0])).toBe(true);
    // Twice as many as before, as that was a false alarm.
    bench.calls(10, status(503));
    expect(bench.call(status(500), bad[0], { isLast: true })).toBe(false);
  });

  test('each false alarm makes the next one less likely, until all is quiet', () => {
    const bench = new Bench(8);
    const opensAfter = () => {
      let calls = 0;
      while (!bench.breaker.isOpen) calls += bench.calls(1, status(500)).length;
      bench.call(status(200));
      return calls;
    };
    expect(Array.from({ length: 8 }, opensAfter)).toEqual([8, 16, 32, 64, 128, 256, 512, 512]);
    bench.now += 11_000;
    expect(bench.breaker.isDoubtful).toBe(false);
    expect(opensAfter()).toBe(8);
  });
});
