import { inject } from 'vitest';
import { kafkaLogReader } from '../../../src/adapters/kafka/log-reader.ts';
import { logReaderContract } from '../../contracts/log-reader.ts';
import { kafkaConfig, makeTopics, openLog, withPlainAdmin } from './setting.ts';

logReaderContract('kafka', async (topics) => {
  const brokers = inject('kafkaBrokers');
  await makeTopics(brokers, topics, 3);
  return {
    log: openLog(brokers, topics).log,
    reader: kafkaLogReader(kafkaConfig(brokers), () => {}),
    destroy: () => withPlainAdmin(brokers, (admin) => admin.deleteTopics({ topics })),
  };
});
