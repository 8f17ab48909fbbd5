import type { Consumer, EachBatchPayload } from 'kafkajs';
import type { KafkaConfig } from '../../../config/log/types.ts';
import {
  type ConsumeOptions,
  type Partition,
  type Position,
  partitionName,
  type RecordSink,
} from '../../../ports/event-log.ts';
import { rootCause, within } from '../core/failures.ts';
import type { OnLog } from '../core/on-log.ts';
import { type Client, kafkaClient, withAdmin } from './client.ts';
import { stored } from './decode.ts';
import { startPositions } from './positions.ts';
import { byTopic, finishWork } from './revocation.ts';
import { type GroupTiming, RETRY, waitingConsumer } from './waiting-consumer.ts';

export interface MemberOptions extends ConsumeOptions {
  config: KafkaConfig;
  onLog: OnLog;
  sink: RecordSink;
  timing: GroupTiming;
  /** Topics that this member, or one before it, has read. */
  readBefore: Set<string>;
  /** Called each time that the sink got partitions. */
  onAssigned(): void;
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
  /** Set when a topic was denied since we joined. It may be deleted: its offsets may mean other records now. */
  #unknown: Error | null = null;
  #isLeader = false;
  #starting: Promise<void> | null = null;
  #revoking: Promise<void> | null = null;
  readonly #paused = new Set<string>();
  #heartbeat: (() => Promise<void>) | null = null;
  /** After a crash kafkajs' consumer takes no calls. */
  #crashed = false;
  /** Time of the last answer of the group or the log, in ms since 1970. */
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
        // kafkajs joins again after this error, once the topic is there; then the committed offsets are asked for.
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
      this.#isLeader = payload.isLeader;
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
    // kafkajs uses `fromBeginning` only for offsets out of range; all others are set by `seek`.
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
    const held = new Set(this.#assigned.map(partitionName));
    const ours = positions.filter((one) => held.has(partitionName(one)));
    if (ours.length > 0) await this.#commit(ours);
  }

  pause(partitions: Partition[]): void {
    if (this.#phase !== 'held') return;
    for (const one of partitions) this.#paused.add(partitionName(one));
    this.#consumer.pause(byTopic(partitions));
  }

  resume(partitions: Partition[]): void {
    if (this.#phase !== 'held') return;
    for (const one of partitions) this.#paused.delete(partitionName(one));
    this.#consumer.resume(byTopic(partitions));
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

  /** Waits until the sink has finished. The group still gets our heartbeats meanwhile. */
  revoke(): Promise<void> {
    if (this.#phase === 'held') {
      this.#phase = 'revoking';
      this.#revoking = finishWork({
        ...this.#options,
        consumer: this.#consumer,
        partitions: this.#assigned,
        isCrashed: () => this.#crashed,
        // Before the first batch there is none, but no work to wait for either. A failed one is no news.
        heartbeat: () => this.#heartbeat?.().catch(() => {}),
      }).finally(() => {
        this.#phase = 'out';
        this.#revoking = null;
        this.#paused.clear();
        this.progress = Date.now();
      });
    }
    return this.#revoking ?? Promise.resolve();
  }

  /** Sets where each partition is read from, then gives the partitions to the sink. */
  async #start(): Promise<void> {
    const { config, onLog, readBefore, sink } = this.#options;
    const assigned = this.#assigned;
    const positions = await withAdmin(config, onLog, 10_000, (admin) =>
      startPositions({
        ...this.#options,
        admin,
        isLeader: this.#isLeader,
        assigned,
        commit: (found) => this.#commit(found),
      }),
    ).catch((error) => {
      // kafkajs joins again after some errors, which it knows only unwrapped.
      throw rootCause(error);
    });
    if (this.#phase !== 'joined' || this.#assigned !== assigned) return;
    for (const position of positions) this.#consumer.seek({ ...position, offset: String(position.offset) });
    this.#phase = 'held';
    for (const { topic } of positions) readBefore.add(topic);
    sink.assigned(positions);
    this.#options.onAssigned();
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
    // Fetched before a pause or a rebalance: without `resolveOffset` it is fetched again.
    if (this.#phase !== 'held' || isStale() || this.#paused.has(partitionName(batch))) return;
    const records = messages.map((message) => stored(topic, partition, message));
    this.#options.sink.records({ topic, partition }, records, Number(batch.highWatermark));
    resolveOffset(messages.at(-1)!.offset);
  }
}
