import kafkajs, { CompressionTypes } from 'kafkajs';
import type { KafkaConfig } from '../../../config/log/types.ts';
import type { OnLog } from '../core/on-log.ts';
import type { TopicProducer } from '../core/topic-appender.ts';
import { kafkaClient } from './client.ts';
import { EncodedMessages } from './encoded-messages.ts';

// Node finds only some of kafkajs' names in its CommonJS.
const { KafkaJSNonRetriableError } = kafkajs;

/** About 7 s in all. The wait between two attempts is 1 s at the most. */
const SEND_RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 10 };

/** An idempotent producer of one topic. */
export function kafkajsProducer(config: KafkaConfig, topic: string, onLog: OnLog): TopicProducer {
  const client = kafkaClient(config, onLog, SEND_RETRY);
  const producer = client.kafka.producer({ idempotent: true, allowAutoTopicCreation: false });
  const compression = config.compression === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None;
  let discarded = false;
  const assertOpen = () => {
    if (discarded) throw new KafkaJSNonRetriableError('producer is discarded');
  };
  return {
    connect: () => producer.connect(),
    send: (batches) => {
      const messages = new EncodedMessages(batches, config.compression, assertOpen);
      const sendAll = async () => {
        // kafkajs resolves without a partition that moved, between retries, to a broker that had answered before.
        while (!messages.isDone)
          await producer.send({ topic, messages, acks: -1, timeout: 5_000, compression });
      };
      return { done: sendAll(), isStored: (partition) => messages.isStored(partition) };
    },
    discard: () => {
      discarded = true;
      client.destroy();
    },
  };
}
