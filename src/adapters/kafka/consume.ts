import type { Consumption, Partition } from '../../ports/event-log.ts';
import { GroupMember, type GroupTiming, type MemberOptions } from './member.ts';
import type { Position } from './positions.ts';
import { rootCause } from './topics.ts';

export type { GroupTiming } from './member.ts';

const TIMING: GroupTiming = {
  session: 30_000,
  rebalance: 60_000,
  heartbeat: 3_000,
  wait: 500,
  metadata: 60_000,
};
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

export type ConsumptionOptions = Omit<MemberOptions, 'timing' | 'onHeld' | 'onCrash'> & {
  timing: Partial<GroupTiming>;
};

/** Reads as a member of a group, and as a new one whenever the one before crashed or got stuck. */
export class KafkaConsumption implements Consumption {
  readonly #options: ConsumptionOptions;
  readonly #timing: GroupTiming;
  readonly #stopping = Promise.withResolvers<void>();
  readonly #started = Promise.withResolvers<void>();
  #stopped = false;
  #member: GroupMember | null = null;
  /** Resolves at the first assignment, or when the first try to get one failed: the next ones go on by themselves. */
  readonly started: Promise<void>;
  /** Resolves when it has left the group for good. */
  readonly ended: Promise<void>;

  constructor(options: ConsumptionOptions) {
    this.#options = options;
    this.#timing = { ...TIMING, ...options.timing };
    this.started = this.#started.promise;
    this.ended = this.#loop();
  }

  async commit(positions: Position[]): Promise<void> {
    if (this.#member === null) throw new Error('not a member of the group now');
    await this.#member.commit(positions);
  }

  pause(partitions: Partition[]): void {
    this.#member?.pause(partitions);
  }

  resume(partitions: Partition[]): void {
    this.#member?.resume(partitions);
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#stopping.resolve();
    return this.ended;
  }

  async #loop(): Promise<void> {
    const { group, onLog } = this.#options;
    let wait = FIRST_WAIT_MS;
    while (!this.#stopped) {
      const crash = await this.#once(() => {
        wait = FIRST_WAIT_MS;
      });
      this.#started.resolve();
      if (crash === null) return;
      onLog('error', 'reading stopped and is begun anew', { group, error: crash.message });
      await this.#sleep(wait * (0.5 + Math.random()));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }

  /** One membership; null when it ended because of `stop`. */
  async #once(onHeld: () => void): Promise<Error | null> {
    const { promise: crashed, resolve: crash } = Promise.withResolvers<Error>();
    const member = new GroupMember({
      ...this.#options,
      timing: this.#timing,
      onCrash: crash,
      onHeld: () => {
        onHeld();
        this.#started.resolve();
      },
    });
    this.#member = member;
    member.run().catch(crash);
    const watch = setInterval(() => {
      const silent = Date.now() - member.progress;
      if (silent > this.#stall) crash(new Error(`nothing was fetched for ${silent} ms`));
    }, this.#timing.session / 2);
    const end = await Promise.race([crashed, this.#stopping.promise]);
    clearInterval(watch);
    await member.leave();
    this.#member = null;
    if (!(end instanceof Error)) return null;
    const cause = rootCause(end);
    // What may pass by itself is only logged; the rest is for people.
    if ('retriable' in cause && cause.retriable === false) this.#options.sink.failed(cause);
    return cause;
  }

  /** Milliseconds; longer than any step that makes no progress by rights. */
  get #stall(): number {
    return 2 * (this.#timing.rebalance + this.#timing.session);
  }

  async #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    await Promise.race([promise, this.#stopping.promise]);
    clearTimeout(timer);
  }
}
