import kafkajs from 'kafkajs';
import type { Consumption, Partition, Position } from '../../../ports/event-log.ts';
import { rootCause } from '../core/failures.ts';
import { GroupMember, type MemberOptions } from './member.ts';
import type { GroupTiming } from './waiting-consumer.ts';

// Node finds only some of kafkajs' names in its CommonJS.
const { KafkaJSNotImplemented, KafkaJSSASLAuthenticationError } = kafkajs;

const TIMING: GroupTiming = {
  session: 30_000,
  rebalance: 60_000,
  heartbeat: 3_000,
  wait: 500,
  metadata: 60_000,
};
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** A crash after so many milliseconds counts as the first one again. */
const HEALTHY_MS = 30_000;
/** Crashes in a row that the sink is not told of: brokers are restarted now and then. */
const SILENT_CRASHES = 5;
/** Broker errors that mean: the group went on without this member. */
const EXPELLED = /^(REBALANCE_IN_PROGRESS|ILLEGAL_GENERATION|UNKNOWN_MEMBER_ID|NOT_COORDINATOR_FOR_GROUP)$/;

export type ConsumptionOptions = Omit<MemberOptions, 'timing' | 'readBefore' | 'onAssigned' | 'onCrash'> & {
  timing: Partial<GroupTiming>;
};

/**
 * Reads as a member of a group. When the member crashes or gets stuck a new one takes its place; when that does not
 * help, reading ends with the sink's `failed`.
 */
export class KafkaConsumption implements Consumption {
  readonly #options: ConsumptionOptions;
  readonly #timing: GroupTiming;
  readonly #stopping = Promise.withResolvers<void>();
  readonly #started = Promise.withResolvers<void>();
  readonly #readBefore = new Set<string>();
  #stopped = false;
  #member: GroupMember | null = null;
  /** Resolves at the first assignment, or when the first attempt to get one failed; later attempts follow. */
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
    const { group, topics, onLog, sink } = this.#options;
    for (let crashes = 1; ; crashes++) {
      const begun = Date.now();
      const crash = await this.#once();
      this.#started.resolve();
      if (crash === null) return;
      if (Date.now() - begun > HEALTHY_MS) crashes = 1;
      onLog('error', 'reading stopped', { group, topics, error: crash.message });
      if (isLasting(crash) || crashes > SILENT_CRASHES) {
        sink.failed(crash);
        return;
      }
      await this.#sleep(
        Math.min(FIRST_WAIT_MS * 2 ** (crashes - 1), LONGEST_WAIT_MS) * (0.5 + Math.random()),
      );
      if (this.#stopped) return;
    }
  }

  /** One membership; null when it ended because of `stop`. */
  async #once(): Promise<Error | null> {
    const { promise: crashed, resolve: crash } = Promise.withResolvers<Error>();
    const member = new GroupMember({
      ...this.#options,
      timing: this.#timing,
      readBefore: this.#readBefore,
      onCrash: crash,
      onAssigned: () => this.#started.resolve(),
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
    return end instanceof Error ? rootCause(end) : null;
  }

  /** Milliseconds without progress after which a member is stuck: a rebalance may take nearly half of it. */
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

/** Whether a new member would fail in the same way: a permission, a setting or the data is wrong. */
function isLasting(error: Error): boolean {
  if (error instanceof KafkaJSNotImplemented || error instanceof KafkaJSSASLAuthenticationError) return true;
  if (error instanceof RangeError || error instanceof TypeError) return true;
  const { type, retriable } = error as { type?: string; retriable?: boolean };
  return type !== undefined && retriable === false && !EXPELLED.test(type);
}
