// `npm run services`: Kafka and Redis for work by hand, until Ctrl-C.
import { startKafka } from './kafka.ts';
import { startRedis } from './redis.ts';

const [kafka, redis] = await Promise.all([startKafka(), startRedis()]);
console.log(`export KAFKA_BROKERS=${kafka.brokers} REDIS_URL=${redis.url}`);

const stop = async () => {
  await Promise.all([kafka.stop(), redis.stop()]);
  process.exit();
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
