import type { Holding } from '../consume/commits.ts';
import { Member, type MemberOptions, type Work } from '../consume/member.ts';
import { retryWait } from '../function/retry.ts';
import { type LogRecord, partitionName, type StoredRecord } from '../ports/event-log.ts';
import type { StreamOutcome } from '../ports/report.ts';

/** A partition as the steps of a stage know it, from its assignment to its loss. */
export interface StagePartition {
  readonly holding: Holding;
  /** Records that wait. */
  readonly waiting: number;
  /** The next step has something to do here. */
  readonly wantsStep: boolean;
  push(records: StoredRecord[]): void;
}

/** What is done in the steps of a stage. */
export interface Steps<H extends StagePartition> {
  hold(holding: Holding): H;
  /** Works on these partitions. Rejects when the step must be tried again. */
  step(ready: H[]): Promise<void>;
  /** Called every half second. */
  tick(): Promise<void>;
}

export interface StageOptions extends Pick<MemberOptions, 'log' | 'random'> {
  reported(facts: StreamOutcome): void;
}

/** Records of a partition that may wait. With more the partition is paused, and at half of it resumed. */
const MAX_WAITING = 16_000;
const TICK_MS = 500;
const RETRY = { attempts: Number.POSITIVE_INFINITY, min: 100, max: 5_000 };

/** Reads topics in steps. One step at a time works on all partitions that have something to do. */
export class Stage<H extends StagePartition> implements Work {
  readonly #options: StageOptions;
  readonly #steps: Steps<H>;
  readonly member: Member;
  readonly #held = new Map<string, H>();
  readonly #timer: NodeJS.Timeout;
  #working: Promise<void> | null = null;
  #failures = 0;
  #endWait = () => {};
  /** Why the last step failed, or null. */
  #error: string | null = null;

  constructor(options: StageOptions, reads: MemberOptions['reads'], steps: Steps<H>) {
    const { log, random } = options;
    this.#options = options;
    this.#steps = steps;
    const pauses = () => (holding: Holding) => {
      const waiting = this.#held.get(partitionName(holding))?.waiting ?? 0;
      return waiting > (holding.paused ? MAX_WAITING / 2 : MAX_WAITING);
    };
    this.member = new Member({ log, random, reads, work: this, pauses });
    this.#timer = setInterval(() => void this.#tick(), TICK_MS);
  }

  get problem(): string | null {
    return this.member.problem ?? this.#error;
  }

  get held(): H[] {
    return [...this.#held.values()];
  }

  /** Stops reading, and commits the records that are done by then. */
  stop(graceMs: number): Promise<void> {
    clearInterval(this.#timer);
    return this.member.stop(graceMs);
  }

  take(holding: Holding, records: StoredRecord[]): void {
    const name = partitionName(holding);
    let held = this.#held.get(name);
    if (held?.holding !== holding) {
      held = this.#steps.hold(holding);
      this.#held.set(name, held);
    }
    if (records.length > 0) held.push(records);
    this.#turn();
  }

  async release(): Promise<void> {
    this.#endWait();
    this.member.outbox.close();
    await this.#working;
  }

  forget(): void {
    this.#endWait();
    this.#held.clear();
  }

  /** All records of a partition before `offset` are done. */
  finishBefore({ holding }: H, offset: number): void {
    this.member.commits.finishBefore(holding, offset);
  }

  /** Stores records, however long it takes. False when the partitions were given up before that. */
  async append(records: LogRecord[]): Promise<boolean> {
    const outcomes = await this.member.outbox.appendAll(records);
    const tooLarge = outcomes.filter((outcome) => outcome === 'too_large').length;
    if (tooLarge > 0) this.#options.reported({ tooLarge });
    return !outcomes.includes('dropped');
  }

  /** Begins the next step, unless one is running. */
  #turn(): void {
    if (this.#working !== null || this.member.isClosing) return;
    this.#working = this.#work().finally(() => {
      this.#working = null;
      if (this.held.some(wantsStep)) this.#turn();
    });
  }

  async #work(): Promise<void> {
    // Records that are read in the same turn of the event loop share a step.
    await new Promise((resolve) => setImmediate(resolve));
    while (!this.member.isClosing) {
      const ready = this.held.filter(wantsStep);
      if (ready.length === 0) return;
      try {
        await this.#steps.step(ready);
        this.#failures = 0;
        this.#error = null;
      } catch (error) {
        this.#error = (error as Error).message;
        await this.#wait(retryWait(++this.#failures, RETRY, null, this.#options.random));
      }
      this.member.regulate();
    }
  }

  async #tick(): Promise<void> {
    if (this.member.isClosing) return;
    try {
      await this.#steps.tick();
    } catch (error) {
      this.#error = (error as Error).message;
    }
    this.#turn();
  }

  /** Waits `ms` milliseconds, or until partitions are given up. */
  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endWait = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function wantsStep(held: StagePartition): boolean {
  return held.wantsStep;
}
