import { Kafka, logLevel } from 'kafkajs';
import { inject } from 'vitest';
import { kafkaEventLog } from '../../../src/adapters/kafka/event-log.ts';
import { eventLogContract } from '../../contracts/event-log.ts';
import { kafkaConfig, timing } from './setting.ts';

eventLogContract(
  'kafka',
  async (topics) => {
    const brokers = inject('kafkaBrokers');
    const admin = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: 4 })) });
    return {
      open: async () =>
        kafkaEventLog({ config: kafkaConfig(brokers), topics, onLog: () => {}, group: timing }),
      destroy: async () => {
        await admin.deleteTopics({ topics });
        await admin.disconnect();
      },
    };
  },
  { tooLarge: 1_048_588 },
);
