import { isIP } from 'node:net';
import {
  type Broker,
  Connection,
  type ConnectionOptions,
  ConnectionStatuses,
  NetworkError,
  parseBroker,
} from '@platformatic/kafka';
import type { KafkaConfig } from '../../../config/log/types.ts';

/** Milliseconds, as in kafkajs/client.ts. */
const CONNECT_MS = 3_000;
const REQUEST_MS = 10_000;
const KEEP_ALIVE_MS = 60_000;

/** One connection to each broker, opened on demand, and again after a loss. */
export class Brokers {
  readonly #config: KafkaConfig;
  readonly #connections = new Map<string, Connection>();
  #addresses = new Map<number, Broker>();
  #closed = false;

  constructor(config: KafkaConfig) {
    this.#config = config;
  }

  /** Takes over the brokers' addresses from a metadata answer. */
  update(brokers: readonly (Broker & { nodeId: number })[]): void {
    this.#addresses = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
  }

  /** The connection to the broker with this node id. Rejects when there is none, or it cannot be reached. */
  async of(nodeId: number): Promise<Connection> {
    const address = this.#addresses.get(nodeId);
    if (address === undefined)
      throw new NetworkError(nodeId < 0 ? 'partition has no leader' : `broker ${nodeId} is not known`);
    return this.#connectTo(address);
  }

  /** A connection to any broker, of the config or of the cluster. Rejects when none can be reached. */
  async any(): Promise<Connection> {
    for (const connection of this.#connections.values()) if (connection.isConnected()) return connection;
    const named = this.#config.brokers.map((broker) => parseBroker(broker));
    let failure: unknown;
    for (const address of [...shuffled(named), ...shuffled([...this.#addresses.values()])]) {
      try {
        return await this.#connectTo(address);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  /** Cuts all connections now. Pending requests fail, and nothing is sent any more. */
  destroy(): void {
    this.#closed = true;
    for (const connection of this.#connections.values()) cut(connection);
  }

  async #connectTo({ host, port }: Broker): Promise<Connection> {
    if (this.#closed) throw new Error('producer is closed');
    const key = `${host}:${port}`;
    const known = this.#connections.get(key);
    if (known?.isConnected()) return known;
    // During a re-authentication nothing else may be sent.
    if (known?.status === ConnectionStatuses.REAUTHENTICATING) {
      await known.ready();
      return known;
    }
    if (known !== undefined) cut(known);
    const connection = new Connection(this.#config.clientId, connectionOptions(this.#config, host));
    // Its requests reject with the error; without a listener it would also end the process.
    connection.on('error', () => {});
    // Otherwise it would re-authenticate on a connection that is gone.
    connection.once('close', () => void connection.close());
    this.#connections.set(key, connection);
    try {
      await connection.connect(host, port);
    } catch (error) {
      cut(connection);
      throw error;
    }
    connection.socket.setKeepAlive(true, KEEP_ALIVE_MS);
    return connection;
  }
}

function connectionOptions({ tls, sasl }: KafkaConfig, host: string): ConnectionOptions {
  const { verify, ...files } = tls ?? { verify: true };
  return {
    connectTimeout: CONNECT_MS,
    requestTimeout: REQUEST_MS,
    ...(tls === null
      ? {}
      : { tls: { ...files, rejectUnauthorized: verify }, tlsServerName: isIP(host) === 0 }),
    ...(sasl === null ? {} : { sasl: { ...sasl, mechanism: MECHANISMS[sasl.mechanism] } }),
  };
}

const MECHANISMS = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
} as const;

/** With an error, so that callers of `ready` are told, too. */
function cut(connection: Connection): void {
  connection.socket?.destroy(new Error('connection is cut'));
}

function shuffled<T>(list: T[]): T[] {
  return list
    .map((one) => ({ one, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ one }) => one);
}
