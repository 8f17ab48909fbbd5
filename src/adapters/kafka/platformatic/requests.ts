import {
  type Connection,
  crc32c,
  createAPI,
  GenericError,
  initProducerIdV1,
  metadataV6,
  ProtocolError,
  produceV7,
  ResponseError,
  Writer,
} from '@platformatic/kafka';
import { produceEncoder } from '../core/encode.ts';
import type { PartitionBatch, ProduceArguments } from '../core/produce-request.ts';

/** Milliseconds that a broker may wait for its replicas. */
const REPLICAS_MS = 5_000;
/** Error code: the topic does not exist. A leader that moved has another code. */
const UNKNOWN_TOPIC = 3;

/** Id and epoch of an idempotent producer. */
export interface ProducerId {
  producerId: bigint;
  producerEpoch: number;
}

/**
 * Makes a function that sends batches of a topic to one broker, in our own encoding: the library's makes several objects
 * for each header. It resolves with an outcome by partition: null when it is stored.
 */
export function makeProduce() {
  // The library's CRC-32C is native code where there is some; in this form the bytes are not copied.
  const encode = produceEncoder((bytes) => crc32c(Writer.create().append(bytes).dynamicBuffer) | 0);
  const api = createAPI<[ProduceArguments], ReturnType<typeof produceV7.parseResponse>>(
    produceV7.api.key,
    produceV7.api.version,
    (request: ProduceArguments) => Writer.create().append(encode(request)),
    produceV7.parseResponse,
    false,
    false,
  );
  return async (connection: Connection, id: ProducerId, topic: string, partitions: PartitionBatch[]) => {
    const topicData = [{ topic, partitions }];
    const { responses } = await answerTo(
      api.async(connection, { ...id, acks: -1, timeout: REPLICAS_MS, topicData }),
    );
    const outcomes = responses[0]?.partitionResponses ?? [];
    return new Map(outcomes.map(({ index, errorCode }) => [index, errorOf(errorCode)]));
  };
}

/** Asks a broker for the id of a new producer. */
export async function askProducerId(connection: Connection): Promise<ProducerId> {
  const { errorCode, ...id } = await answerTo(initProducerIdV1.api.async(connection, null, 0));
  if (errorCode !== 0) throw new ProtocolError(errorCode);
  return id;
}

/** Asks a broker for all brokers, and for the topic's leaders: node ids by partition. */
export async function askMetadata(connection: Connection, topic: string) {
  const { brokers, topics } = await answerTo(metadataV6.api.async(connection, [topic], false));
  const { errorCode, partitions } = topics[0]!;
  const leaders = new Map(partitions.map(({ partitionIndex, leaderId }) => [partitionIndex, leaderId]));
  const isGone = errorCode === UNKNOWN_TOPIC;
  const error = isGone ? new ProtocolError(errorCode, null, { canRetry: false }) : errorOf(errorCode);
  return { brokers, leaders, error };
}

/** The broker's answer, even when it contains errors: the library rejects with one error for all of them. */
async function answerTo<T>(asked: Promise<T>): Promise<T> {
  return asked.catch((error: unknown) => {
    if (error instanceof ResponseError && error.response !== undefined) return error.response as T;
    throw error;
  });
}

function errorOf(errorCode: number): Error | null {
  return errorCode === 0 ? null : new ProtocolError(errorCode);
}

/** Whether the same request may succeed a moment later. */
export function isTransient(error: Error): boolean {
  return error instanceof GenericError && error.canRetry === true;
}
