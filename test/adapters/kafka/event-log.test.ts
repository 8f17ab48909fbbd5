import { inject } from 'vitest';
import { eventLogContract } from '../../contracts/event-log.ts';
import { makeTopics, openLog, withPlainAdmin } from './setting.ts';

eventLogContract(
  'kafka',
  async (topics) => {
    const brokers = inject('kafkaBrokers');
    await makeTopics(brokers, topics, 4);
    return {
      open: async () => openLog(brokers, topics).log,
      destroy: () => withPlainAdmin(brokers, (admin) => admin.deleteTopics({ topics })),
    };
  },
  { tooLarge: 1_048_588 },
);
