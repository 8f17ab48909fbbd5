import { isIP, connect as netConnect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { type Admin, Kafka, type logCreator, logLevel, type RetryOptions, type SASLOptions } from 'kafkajs';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import type { KafkaConfig } from '../../../config/config.ts';
import { registerCodecs } from './codecs.ts';
import { decodeRecordBatches } from './decode.ts';
import { encodeProduceRequests } from './produce.ts';

export type OnLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  extra: Record<string, unknown>,
) => void;

/** What kafkajs says at level warn or error and then settles by itself. */
const NOISE =
  /already exists|rebalanc|coordinator is|correct coordinator|leadership election|not the leader|Limiting retries for the idempotent|switched default partitioner/i;

/** A kafkajs client whose connections can be cut. */
export interface Client {
  kafka: Kafka;
  /** Cuts all connections now; nothing can be sent or logged any more, and what waits for an answer fails. */
  destroy(): void;
}

/** A client of its own for each producer, consumer or admin, so that giving one up leaves the others alone. */
export function kafkaClient(config: KafkaConfig, onLog: OnLog, retry: RetryOptions): Client {
  stopNegativeTimers();
  registerCodecs();
  encodeProduceRequests();
  decodeRecordBatches();
  const sockets = new Set<Socket>();
  let destroyed = false;
  const socketFactory = ({ host, port, ssl, onConnect }: SocketOptions): Socket => {
    // kafkajs connects again by itself, also for a producer that is being disconnected.
    if (destroyed) throw new Error('client is closed');
    const socket = ssl
      ? tlsConnect({ host, port, ...(isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
      : netConnect({ host, port }, onConnect);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
  const log: logCreator = () => {
    return ({ level, log: { message, timestamp: _, logger: __, ...extra } }) => {
      if (destroyed) return;
      const text = `${message} ${extra.error ?? ''}`;
      const name = level <= logLevel.ERROR ? 'error' : level === logLevel.WARN ? 'warn' : 'debug';
      onLog(NOISE.test(text) ? 'debug' : name, `kafkajs: ${message}`, extra);
    };
  };
  const { tls, sasl } = config;
  const kafka = new Kafka({
    clientId: config.clientId,
    brokers: config.brokers,
    ...(tls === null ? {} : { ssl: tlsOptions(tls) }),
    ...(sasl === null ? {} : { sasl: sasl as SASLOptions }),
    connectionTimeout: 3_000,
    authenticationTimeout: 10_000,
    requestTimeout: 10_000,
    retry,
    logLevel: logLevel.WARN,
    logCreator: log,
    socketFactory: socketFactory as never,
  });
  return {
    kafka,
    destroy: () => {
      destroyed = true;
      // With an error, because on a silent end kafkajs leaves what waits for an answer waiting.
      for (const socket of sockets) socket.destroy(new Error('client is closed'));
    },
  };
}

/** What of kafkajs' cluster fetches records: it has no public name. */
export interface FetchCluster {
  connect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadata(): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  /** Partitions by node id. */
  findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>;
  findBroker(node: { nodeId: string }): Promise<{
    fetch(request: object): Promise<{ responses: { partitions: object[] }[] }>;
  }>;
}

/** The client's own way to the brokers, without a group, which kafkajs' consumer cannot do without. */
export function fetchCluster({ kafka }: Client): FetchCluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  )!;
  const makers = kafka as unknown as Record<symbol, (options: object) => FetchCluster>;
  return makers[symbol]!({ allowAutoTopicCreation: false, metadataMaxAge: 300_000 });
}

interface SocketOptions {
  host: string;
  port: number;
  ssl: object | undefined;
  onConnect: () => void;
}

function tlsOptions({ verify, ...rest }: NonNullable<KafkaConfig['tls']>): object {
  return { ...rest, rejectUnauthorized: verify };
}

/** Runs `use` with an admin of its own; rejects after `timeout` ms at the latest, and at once when aborted. */
export async function withAdmin<T>(
  config: KafkaConfig,
  onLog: OnLog,
  timeout: number,
  use: (admin: Admin) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const client = kafkaClient(config, onLog, { retries: 1, initialRetryTime: 100 });
  const admin = client.kafka.admin();
  try {
    return await within(
      timeout,
      async () => {
        await admin.connect();
        return use(admin);
      },
      signal,
    );
  } finally {
    client.destroy();
  }
}

/** Rejects when `work` is not done after `ms` or when aborted; the work itself is not stopped. */
export async function within<T>(ms: number, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  const onAbort = () => reject(new Error('closed meanwhile'));
  signal?.addEventListener('abort', onAbort);
  try {
    return await Promise.race([work(), promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

let patched = false;

/**
 * After every response kafkajs sets a timer to look at its queue, with a negative delay when it is not
 * throttled, of which Node 24 warns (tulios/kafkajs#1751). An empty queue needs no timer: adding to the
 * queue sets one by itself. This method alone is replaced, so that other warnings are still shown.
 */
function stopNegativeTimers(): void {
  if (patched) return;
  patched = true;
  const original = RequestQueue.prototype.scheduleCheckPendingRequests;
  RequestQueue.prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0) original.call(this);
  };
}
