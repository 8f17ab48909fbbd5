import { inject } from 'vitest';
import { eventLogContract } from '../../contracts/event-log.ts';
import { CLIENTS, makeTopics, openLog, withPlainAdmin } from './setting.ts';

for (const client of CLIENTS) {
  eventLogContract(
    client === 'kafkajs' ? 'kafka' : `kafka with ${client}`,
    async (topics) => {
      const brokers = inject('kafkaBrokers');
      await makeTopics(brokers, topics, 4);
      return {
        open: async () => openLog(brokers, topics, { client }).log,
        destroy: () => withPlainAdmin(brokers, (admin) => admin.deleteTopics({ topics })),
      };
    },
    { tooLarge: 1_048_588 },
  );
}
