import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Action, actionsOf } from '../../src/workflows/actions.ts';
import { apply } from '../../src/workflows/machine.ts';
import type { Plan, PlannedStep } from '../../src/workflows/plan.ts';
import type { Progress } from '../../src/workflows/progress.ts';
import type { State } from '../../src/workflows/state.ts';

const call = (name: string, undo = true): PlannedStep => ({ name, undo, when: null, wait: null });
const PLAN: Plan = {
  stages: [
    [call('reserve')],
    [call('charge')],
    [{ name: 'approve', undo: false, when: null, wait: { timeout: 5, matches: () => true } }],
    [call('ship'), call('mail', false), call('book')],
  ],
  timeout: 1_000,
};
const CALLS = ['reserve', 'charge', 'ship', 'mail', 'book'];

/** Numbers that decide what happens next; the last of them for ever after. */
class Chance {
  readonly #numbers: number[];
  #at = 0;

  constructor(numbers: number[]) {
    this.#numbers = numbers;
  }

  get isOver(): boolean {
    return this.#at >= this.#numbers.length;
  }

  below(limit: number): number {
    return (this.#numbers[this.#at++] ?? 0) % limit;
  }
}

/** The functions' own account: each effect once for each key, and nothing is done after its undo. */
class Ledger {
  readonly done = new Set<string>();
  readonly undone = new Set<string>();
  readonly #refused: ReadonlySet<string>;

  constructor(refused: string[]) {
    this.#refused = new Set(refused);
  }

  do(step: string): 'ok' | 'refused' {
    if (this.undone.has(step)) return 'ok';
    if (this.#refused.has(step)) return 'refused';
    this.done.add(step);
    return 'ok';
  }

  undo(step: string): 'ok' {
    this.undone.add(step);
    return 'ok';
  }

  inEffect(step: string): boolean {
    return this.done.has(step) && !this.undone.has(step);
  }
}

/** A reader of the log: the owner, or one that does not know yet that it is not. */
interface Reader {
  state: State | null;
  next: number;
}

class World {
  readonly log: Progress[] = [{ kind: 'started', event: '{}', source: '/s', trace: {} }];
  readonly ledger: Ledger;
  readonly chance: Chance;
  readers: Reader[] = [{ state: null, next: 0 }];
  /** From where a new owner reads: what is before it is not needed. */
  committed = 0;

  constructor(numbers: number[], refused: string[]) {
    this.chance = new Chance(numbers);
    this.ledger = new Ledger(refused);
  }

  read(reader: Reader): boolean {
    const record = this.log[reader.next];
    if (record === undefined) return false;
    const before = reader.state;
    reader.state = apply(PLAN, before, 'o', { offset: reader.next, time: reader.next }, record);
    const isOwner = reader === this.readers[0];
    if (isOwner && record.kind === 'state' && reader.state === record.state) this.committed = reader.next;
    reader.next++;
    return true;
  }

  act(action: Action, chance: Chance): void {
    if (action.kind === 'end') this.log.push({ kind: 'ended', outcome: this.readers[0]!.state!.outcome! });
    else if (action.kind === 'tell') this.log.push({ kind: 'told', round: 0 });
    else if (action.kind === 'timer') this.log.push({ kind: 'expired', step: action.step, at: action.at });
    else this.#call(action, chance);
  }

  #call({ step, undo, key }: Extract<Action, { kind: 'call' }>, chance: Chance): void {
    const round = Number(key.split('/')[2]);
    const luck = chance.below(6);
    const failure = { step, reason: 'timeout', detail: '' };
    const undoable = step !== 'mail';
    const said = { kind: 'called' as const, step, undo, undoable, round, result: null };
    // 4: the call is lost before its effect, 5: its answer is.
    if (luck === 4) this.log.push({ ...said, failure, unsure: true });
    else {
      const answer = undo ? this.ledger.undo(step) : this.ledger.do(step);
      if (luck === 5) this.log.push({ ...said, failure, unsure: true });
      else if (luck === 3)
        return; // the process dies before it can say so
      else if (answer === 'ok') this.log.push({ ...said, failure: null, unsure: false });
      else this.log.push({ ...said, failure: { ...failure, reason: 'refused' }, unsure: false });
    }
  }

  step(): void {
    const { chance, readers, log } = this;
    const reader = readers[chance.below(readers.length)]!;
    const what = chance.below(12);
    if (what < 5) this.read(reader);
    else if (what < 8) {
      const actions = reader.state === null ? [] : actionsOf(PLAN, reader.state);
      // Only the owner ends it, and timers are rare.
      const able = actions.filter(
        ({ kind }) =>
          (kind !== 'timer' || chance.below(8) === 1) && (kind !== 'end' || reader === readers[0]),
      );
      if (able.length > 0) this.act(able[chance.below(able.length)]!, chance);
    } else if (what === 8) log.push(structuredClone(log[chance.below(log.length)]!));
    else if (what === 9) {
      // A new owner; the old one may be a while in learning of it.
      if (chance.below(2) === 1) readers.pop();
      readers.unshift({ state: null, next: this.committed });
      readers.length = Math.min(3, readers.length);
    } else if (what === 10) {
      const { state } = readers[0]!;
      if (state !== null && state.status !== 'ended')
        log.push({ kind: 'state', state: structuredClone(state) });
    } else if (chance.below(6) === 1) log.push({ kind: 'cancel' });
    else log.push({ kind: 'arrived', step: 'approve', event: '{}' });
  }

  /** Nothing goes wrong any more. */
  finish(): State {
    const owner: Reader = { state: null, next: this.committed };
    this.readers = [owner];
    const calm = new Chance([]);
    for (let turns = 0; turns < 10_000; turns++) {
      if (this.read(owner)) continue;
      const { state } = owner;
      if (state?.status === 'ended') return state;
      const [action] = actionsOf(PLAN, state!);
      if (action === undefined) this.log.push({ kind: 'retry' });
      else this.act(action, calm);
    }
    throw new Error(`it does not end: ${JSON.stringify(owner.state)}`);
  }
}

test('any interleaving of records, copies, crashes and old owners ends done or wholly undone', () => {
  const outcomes = new Map<string, number>();
  fc.assert(
    fc.property(
      fc.array(fc.nat(1_000_000), { minLength: 20, maxLength: 400 }),
      fc.array(fc.constantFrom(...CALLS), { maxLength: 1 }),
      (numbers, refused) => {
        const world = new World(numbers, refused);
        while (!world.chance.isOver) world.step();
        const { outcome } = world.finish();
        outcomes.set(outcome!, (outcomes.get(outcome!) ?? 0) + 1);
        const inEffect = CALLS.filter((step) => world.ledger.inEffect(step));
        if (outcome === 'done') expect(inEffect).toEqual(CALLS);
        else {
          expect(outcome).toBe('undone');
          // Mail cannot be unsent.
          expect(inEffect.filter((step) => step !== 'mail')).toEqual([]);
        }
      },
    ),
    { numRuns: 3_000 },
  );
  // Both ends are reached, or nothing is proved.
  expect(outcomes.get('done')).toBeGreaterThan(20);
  expect(outcomes.get('undone')).toBeGreaterThan(20);
});
