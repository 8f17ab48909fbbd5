import type { Consumer, EachBatchPayload } from 'kafkajs';
import type { KafkaConfig } from '../../../config/config.ts';
import type { ConsumeOptions, Partition, Position, RecordSink } from '../../../ports/event-log.ts';
import { type Client, kafkaClient, type OnLog, withAdmin, within } from './client.ts';
import { type GroupTiming, RETRY, waitingConsumer } from './waiting-consumer.ts';
import { startPositions } from './positions.ts';
import { stored } from './stored.ts';
import { rootCause } from './topics.ts';

export interface MemberOptions extends ConsumeOptions {
  config: KafkaConfig;
  onLog: OnLog;
  sink: RecordSink;
  timing: GroupTiming;
  /** Topics that were held before, by this member or those before it. */
  held: Set<string>;
  /** Called each time that partitions are ours. */
  onHeld(): void;
  /** Called once, when reading stopped with an error. */
  onCrash(error: Error): void;
}

/** One member of a group, from joining to leaving or to the first crash: one kafkajs consumer. */
export class GroupMember {
  readonly #options: MemberOptions;
  readonly #client: Client;
  readonly #consumer: Consumer;
  /** joined: assigned, but the sink does not know yet. revoking: the sink may still commit. */
  #phase: 'out' | 'joined' | 'held' | 'revoking' = 'out';
  #assigned: Partition[] = [];
  /** A topic may have been deleted since we joined: positions of then may mean other records now. */
  #unknown: Error | null = null;
  #leader = false;
  #starting: Promise<void> | null = null;
  #revoking: Promise<void> | null = null;
  readonly #paused = new Set<string>();
  #heartbeat: (() => Promise<void>) | null = null;
  /** kafkajs' consumer has then stopped and takes no calls. */
  #crashed = false;
  /** When the broker last let us get on. */
  progress = Date.now();

  constructor(options: MemberOptions) {
    this.#options = options;
    const { config, onLog, group, timing } = options;
    this.#client = kafkaClient(config, onLog, RETRY);
    this.#consumer = waitingConsumer(this.#client.kafka, group, timing, {
      beforeJoin: async () => {
        await this.revoke();
        this.#phase = 'out';
        this.#unknown = null;
      },
      beforeFetch: async () => {
        // Once the topic is there again this makes us join, and look for our positions.
        if (this.#unknown !== null) throw this.#unknown;
        if (this.#phase !== 'joined') return;
        this.#starting ??= this.#start().finally(() => {
          this.#starting = null;
        });
        await this.#starting;
      },
      onUnknownTopic: (error) => {
        this.#unknown = error;
      },
      mayCommit: () => this.#unknown === null,
    });
    const { events } = this.#consumer;
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => {
      this.progress = Date.now();
      this.#leader = payload.isLeader;
      this.#assigned = Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) =>
        partitions.map((partition) => ({ topic, partition })),
      );
      this.#phase = 'joined';
    });
    this.#consumer.on(events.FETCH, () => {
      this.progress = Date.now();
    });
    this.#consumer.on(events.CRASH, ({ payload }) => {
      this.#crashed = true;
      options.onCrash(payload.error);
    });
  }

  /** Resolves when reading has begun or has crashed. Rejects when the broker cannot be reached. */
  async run(): Promise<void> {
    await this.#consumer.connect();
    // From the beginning is for positions that are out of range only: others are set explicitly.
    await this.#consumer.subscribe({ topics: this.#options.topics, fromBeginning: true });
    await this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => this.#deliver(payload),
    });
  }

  /** Rejects when the partitions are no longer ours, or the broker says so. */
  async commit(positions: Position[]): Promise<void> {
    if (this.#phase !== 'held' && this.#phase !== 'revoking')
      throw new Error('not a member of the group now');
    const held = new Set(this.#assigned.map(keyOf));
    const ours = positions.filter((one) => held.has(keyOf(one)));
    if (ours.length > 0) await this.#commit(ours);
  }

  pause(partitions: Partition[]): void {
    if (this.#phase !== 'held') return;
    for (const one of partitions) this.#paused.add(keyOf(one));
    this.#consumer.pause(listed(partitions));
  }

  resume(partitions: Partition[]): void {
    if (this.#phase !== 'held') return;
    for (const one of partitions) this.#paused.delete(keyOf(one));
    this.#consumer.resume(listed(partitions));
  }

  /** Gives the partitions up after `revoked`, leaves the group, and cuts the connections. */
  async leave(): Promise<void> {
    await this.revoke();
    this.#phase = 'out';
    await within(5_000, () => this.#consumer.disconnect()).catch((error) => {
      this.#options.onLog('debug', 'group not left', { group: this.#options.group, error: error.message });
    });
    this.#client.destroy();
  }

  /** Lets the sink finish, while the group still hears from us. */
  revoke(): Promise<void> {
    if (this.#phase === 'held') {
      this.#phase = 'revoking';
      this.#revoking = this.#revoke().finally(() => {
        this.#phase = 'out';
        this.#revoking = null;
        this.#paused.clear();
        this.progress = Date.now();
      });
    }
    return this.#revoking ?? Promise.resolve();
  }

  async #revoke(): Promise<void> {
    const { sink, timing, onLog, group } = this.#options;
    // No batch yet, no work: then there is nothing to wait for either. The answer tells of the rebalance that we know of.
    const beat = setInterval(() => this.#heartbeat?.().catch(() => {}), timing.heartbeat);
    try {
      // Otherwise what is dropped meanwhile would be fetched again and again.
      if (!this.#crashed) this.#consumer.pause(listed(this.#assigned));
      // Some of the time is over when we learn of the rebalance, and some is needed to join.
      await within(Math.max(timing.rebalance - 3 * timing.heartbeat, timing.rebalance / 2), () =>
        sink.revoked(),
      );
    } catch (error) {
      onLog('warn', 'partitions given up before their work was finished', {
        group,
        error: rootCause(error).message,
      });
    } finally {
      clearInterval(beat);
      if (!this.#crashed) this.#consumer.resume(listed(this.#assigned));
    }
  }

  /** Sets where to read each partition, then gives them to the sink. */
  async #start(): Promise<void> {
    const { config, onLog, group, topics, from, starts, held, sink } = this.#options;
    const assigned = this.#assigned;
    const positions = await withAdmin(config, onLog, 10_000, (admin) =>
      startPositions({
        admin,
        group,
        topics,
        from,
        starts,
        held,
        leader: this.#leader,
        assigned,
        commit: (found) => this.#commit(found),
      }),
    ).catch((error) => {
      // Unwrapped, kafkajs sees by itself that it has to join again.
      throw rootCause(error);
    });
    if (this.#phase !== 'joined' || this.#assigned !== assigned) return;
    for (const { topic, partition, offset } of positions) {
      this.#consumer.seek({ topic, partition, offset: String(offset) });
    }
    this.#phase = 'held';
    for (const { topic } of positions) held.add(topic);
    sink.assigned(positions);
    this.#options.onHeld();
  }

  async #commit(positions: Position[]): Promise<void> {
    const offsets = positions.map((one) => ({ ...one, offset: String(one.offset) }));
    await this.#consumer.commitOffsets(offsets).catch((error) => {
      throw rootCause(error);
    });
  }

  async #deliver({ batch, resolveOffset, heartbeat, isStale }: EachBatchPayload): Promise<void> {
    this.#heartbeat = heartbeat;
    const { topic, partition, messages } = batch;
    // Fetched before the pause or the rebalance: not resolved, so it is fetched again.
    if (this.#phase !== 'held' || isStale() || this.#paused.has(keyOf(batch))) return;
    const records = messages.map((message) => stored(topic, partition, message));
    this.#options.sink.records({ topic, partition }, records, Number(batch.highWatermark));
    resolveOffset(messages.at(-1)!.offset);
  }
}

/** The form that kafkajs wants. */
function listed(partitions: Partition[]): { topic: string; partitions: number[] }[] {
  return partitions.map(({ topic, partition }) => ({ topic, partitions: [partition] }));
}

function keyOf({ topic, partition }: Partition): string {
  return `${topic}/${partition}`;
}
