import { inject } from 'vitest';
import { attacks } from './attacks.ts';
import { shortForm } from './short.ts';

const some = attacks.filter(({ group }) => group === 'memory');
shortForm('others are served, and memory stays small, while a stranger sends', some);

const main = new Set([
  'br that inflates to 8 MiB',
  'JSON of empty objects',
  'Segment batch of empty objects',
]);
shortForm(
  'the same on Kafka and Redis, while a stranger sends',
  some.filter(({ name }) => main.has(name)),
  { brokers: inject('kafkaBrokers'), redis: inject('redisUrl') },
);
