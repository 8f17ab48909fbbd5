import { isIP, connect as netConnect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { type Admin, Kafka, type logCreator, logLevel, type RetryOptions, type SASLOptions } from 'kafkajs';
import type { KafkaConfig } from '../../../config/log/types.ts';
import { within } from '../core/failures.ts';
import type { OnLog } from '../core/on-log.ts';
import { patchKafkajs } from './patch.ts';

/** kafkajs reports these at level warn or error, and then settles them by itself. */
const NOISE =
  /already exists|rebalanc|coordinator is|correct coordinator|leadership election|not the leader|Limiting retries for the idempotent|switched default partitioner/i;

/** A kafkajs client whose connections can be cut. */
export interface Client {
  kafka: Kafka;
  /** Cuts all connections now. Pending requests fail, and nothing is sent or logged any more. */
  destroy(): void;
}

/** Opens a client. Each producer, consumer and admin has its own, so that giving one up leaves the others alone. */
export function kafkaClient(config: KafkaConfig, onLog: OnLog, retry: RetryOptions): Client {
  patchKafkajs();
  const sockets = new Set<Socket>();
  let destroyed = false;
  const socketFactory = ({ host, port, ssl, onConnect }: SocketOptions): Socket => {
    // kafkajs reconnects by itself, even for a producer that is being disconnected.
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
      // With an error: after a silent end kafkajs lets pending requests wait for ever.
      for (const socket of sockets) socket.destroy(new Error('client is closed'));
    },
  };
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

/** Runs `use` with an admin of its own. Rejects after `timeout` ms at the latest, and at once when aborted. */
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
