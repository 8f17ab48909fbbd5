import type { Holding } from '../consume/commits.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { apply, supersedes } from './machine.ts';
import type { Plan } from './plan.ts';
import type { Progress } from './progress.ts';
import type { State } from './state.ts';
import type { Task } from './tasks.ts';

/** An instance in memory. */
export interface Instance {
  state: State;
  /** The oldest record that must be read again to know it: its offset, and its time in milliseconds since 1970. */
  first: number;
  firstTime: number;
  readonly partition: number;
  /** The actions that are running for it. */
  tasks: Task[];
  /** Whether its state is being stored; `too_large`: it cannot be stored. */
  storing: 'no' | 'yes' | 'too_large';
  /** When it ended, on the monotonic clock. */
  endedAt: number | null;
}

/** An instance that is over is remembered so long: a copy of its event begins no other instance. */
const REMEMBERED_MS = 60_000;
/** An event waits so long for its instance to begin. */
const EXPECTED_MS = 10 * 60_000;
/** The state is stored again after so many records of the topic, so that a start reads fewer records. */
const MAX_BEHIND = 5_000;
/** The state is stored again after so long in any case: topics delete old records. */
const MAX_AGE_MS = 12 * 3_600_000;
/** States that are stored in one sweep. */
const MAX_STORED = 1_000;

/** The instances of one partition of a progress topic. */
export class Instances {
  readonly #plan: Plan;
  readonly holding: Holding;
  /** Notes that an offset need not be read again. */
  readonly finish: (offset: number) => void;
  readonly #all = new Map<string, Instance>();
  #last = -1;
  /** The offset up to which it must be read before actions begin; null: nothing was read yet. */
  #target: number | null = null;
  isReady = false;

  constructor(plan: Plan, holding: Holding, finish: (offset: number) => void) {
    this.#plan = plan;
    this.holding = holding;
    this.finish = finish;
  }

  find(id: string): Instance | undefined {
    return this.#all.get(id);
  }

  values(): Iterable<Instance> {
    return this.#all.values();
  }

  /** Notes the end of the partition at the first read. */
  reads(end: number): void {
    this.#target ??= end;
  }

  /** True once: when all records are read that were there at the first read. */
  becomesReady(): boolean {
    if (this.isReady || this.#target === null || this.#last + 1 < this.#target) return false;
    this.isReady = true;
    return true;
  }

  skip(offset: number): void {
    this.#last = offset;
    this.finish(offset);
  }

  /**
   * Takes the next record. The offset of an instance's first record is finished when the instance is forgotten, or its
   * state was stored later. Null: the record belongs to no instance.
   */
  take(record: StoredRecord, id: string, progress: Progress): Instance | null {
    const { offset } = record;
    const { instance, finished } = this.#apply(record, id, progress);
    this.#last = offset;
    if (finished !== null) this.finish(finished);
    return instance;
  }

  /** The same for a record that changes nothing. The caller finishes its offset, with `finish`. */
  note(record: StoredRecord, id: string, progress: Progress): void {
    this.#apply(record, id, progress);
    this.#last = record.offset;
  }

  #apply(
    { offset, timestamp }: StoredRecord,
    id: string,
    progress: Progress,
  ): { instance: Instance | null; finished: number | null } {
    const known = this.#all.get(id);
    const before = known?.state ?? null;
    const state = apply(this.#plan, before, id, { offset, time: timestamp }, progress);
    if (state === null) return { instance: null, finished: offset };
    const endedAt = state.status === 'ended' ? (known?.endedAt ?? performance.now()) : null;
    if (known === undefined) {
      const made: Instance = {
        state,
        first: offset,
        firstTime: timestamp,
        partition: this.holding.partition,
        tasks: [],
        storing: 'no',
        endedAt,
      };
      this.#all.set(id, made);
      return { instance: made, finished: null };
    }
    known.state = state;
    known.endedAt = endedAt;
    let finished = offset;
    if (progress.kind === 'state') {
      if (supersedes(before, progress.state)) {
        finished = known.first;
        known.first = offset;
        known.firstTime = timestamp;
      }
      if (known.storing === 'yes') known.storing = 'no';
    }
    return { instance: known, finished };
  }

  /**
   * Forgets instances that are over, gives up events whose instance did not begin, and returns the instances whose state
   * must be stored again.
   */
  sweep(now: number, unmatched: (instance: Instance) => void): Instance[] {
    const behind = Math.max(MAX_BEHIND, 4 * this.#all.size);
    const old: Instance[] = [];
    for (const instance of this.#all.values()) {
      const { state, first, firstTime, endedAt } = instance;
      const isBehind = this.#last - first > behind;
      if (endedAt !== null) {
        if (isBehind || performance.now() - endedAt > REMEMBERED_MS) this.#forget(instance);
      } else if (state.status === 'expected' && now - firstTime > EXPECTED_MS) {
        unmatched(instance);
        this.#forget(instance);
      } else if (
        (isBehind || now - firstTime > MAX_AGE_MS) &&
        instance.storing === 'no' &&
        old.length < MAX_STORED
      )
        old.push(instance);
    }
    return old;
  }

  #forget({ state: { id }, first }: Instance): void {
    this.#all.delete(id);
    this.finish(first);
  }
}
