import kafkajs, { CompressionTypes } from 'kafkajs';
import type { KafkaConfig } from '../../../config/config.ts';
import type { TopicProducer } from '../core/topic-appender.ts';
import { carry } from './encoded-messages.ts';
import { kafkaClient, type OnLog } from './client.ts';

// Node finds only some of kafkajs' names in its CommonJS.
const { KafkaJSNonRetriableError } = kafkajs;

/** Some 7 s in all, each try up to 1 s after the one before. */
const SEND_RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 10 };

/** A producer of one topic by kafkajs. */
export function kafkajsProducer(config: KafkaConfig, topic: string, onLog: OnLog): TopicProducer {
  const client = kafkaClient(config, onLog, SEND_RETRY);
  const producer = client.kafka.producer({ idempotent: true, allowAutoTopicCreation: false });
  const compression = config.compression === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None;
  let discarded = false;
  const check = () => {
    if (discarded) throw new KafkaJSNonRetriableError('producer is discarded');
  };
  return {
    connect: () => producer.connect(),
    send: (round) => {
      const messages = carry(round, config.compression, check);
      const all = async () => {
        // When a partition moves between retries to a broker that has answered, kafkajs leaves it out and resolves.
        while (!messages.isDone)
          await producer.send({ topic, messages, acks: -1, timeout: 5_000, compression });
      };
      return { done: all(), isStored: (partition) => messages.isStored(partition) };
    },
    discard: () => {
      discarded = true;
      client.destroy();
    },
  };
}
