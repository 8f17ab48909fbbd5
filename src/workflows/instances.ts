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
  /** Offset of the record that must be read to know of it, and its time in milliseconds since 1970. */
  first: number;
  firstTime: number;
  readonly partition: number;
  /** What is being done for it. */
  tasks: Task[];
  /** Its state is being stored, or cannot be because it is too large. */
  storing: 'no' | 'yes' | 'too_large';
  /** When it ended, on the monotonic clock. */
  endedAt: number | null;
}

/** Milliseconds for which an instance that is over is remembered: an event that comes twice begins no other. */
const REMEMBERED_MS = 60_000;
/** Milliseconds that an event waits for the instance that it is for. */
const EXPECTED_MS = 10 * 60_000;
/** Records after the first of an instance, after which its state is stored again, so that fewer are read at a start. */
const BEHIND = 5_000;
/** Milliseconds after which it is stored again in any case: topics forget. */
const OLD_MS = 12 * 3_600_000;
/** States that are stored in one go. */
const AT_ONCE = 1_000;

/** The instances of one partition of a progress topic. */
export class Instances {
  readonly #plan: Plan;
  readonly holding: Holding;
  readonly #finish: (offset: number) => void;
  readonly #all = new Map<string, Instance>();
  #last = -1;
  /** The offset up to which it must be read before anything is done; null: nothing was read yet. */
  #target: number | null = null;
  isReady = false;

  constructor(plan: Plan, holding: Holding, finish: (offset: number) => void) {
    this.#plan = plan;
    this.holding = holding;
    this.#finish = finish;
  }

  find(id: string): Instance | undefined {
    return this.#all.get(id);
  }

  values(): Iterable<Instance> {
    return this.#all.values();
  }

  /** Notes where the partition ended when it was first read. */
  reads(end: number): void {
    this.#target ??= end;
  }

  /** True once: when all is read that was there at the beginning. */
  becomesReady(): boolean {
    if (this.isReady || this.#target === null || this.#last + 1 < this.#target) return false;
    this.isReady = true;
    return true;
  }

  skip(offset: number): void {
    this.#last = offset;
    this.#finish(offset);
  }

  /**
   * Takes the next record. The place of an instance's first record is finished when the instance is forgotten, or its
   * state was stored later. Null: the record is of no instance.
   */
  take(record: StoredRecord, id: string, progress: Progress): Instance | null {
    const { offset } = record;
    const { instance, finished } = this.#apply(record, id, progress);
    this.#last = offset;
    if (finished !== null) this.#finish(finished);
    return instance;
  }

  /** The same for a record that changes nothing; its place is to be finished by the caller, with `finish`. */
  note(record: StoredRecord, id: string, progress: Progress): void {
    this.#apply(record, id, progress);
    this.#last = record.offset;
  }

  finish(offset: number): void {
    this.#finish(offset);
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
   * Forgets what is over, gives up events that no instance came for, and returns the instances whose state is to be
   * stored again.
   */
  sweep(now: number, unmatched: (instance: Instance) => void): Instance[] {
    const behind = Math.max(BEHIND, 4 * this.#all.size);
    const old: Instance[] = [];
    for (const instance of this.#all.values()) {
      const { state, first, firstTime, endedAt } = instance;
      const isBehind = this.#last - first > behind;
      if (endedAt !== null) {
        if (isBehind || performance.now() - endedAt > REMEMBERED_MS) this.#forget(instance);
      } else if (state.status === 'expected' && now - firstTime > EXPECTED_MS) {
        unmatched(instance);
        this.#forget(instance);
      } else if ((isBehind || now - firstTime > OLD_MS) && instance.storing === 'no' && old.length < AT_ONCE)
        old.push(instance);
    }
    return old;
  }

  #forget({ state: { id }, first }: Instance): void {
    this.#all.delete(id);
    this.#finish(first);
  }
}
