import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Attack, attackOf, attacks } from './attacks.ts';
import { described, timesOf } from './figures.ts';
import { judge } from './judge.ts';
import type { Stores } from './project.ts';
import { Stage } from './stage.ts';

// The short form of `npm run attack`. It asserts what no other program on the machine changes, and prints the times.

const SECONDS = 0.5;
const onKafka = ['br that inflates to 8 MiB', 'JSON of empty objects', 'Segment batch of empty objects'];

/** One process for all attacks on a project. */
function withstand(some: Attack[], stores: Stores = {}): void {
  for (const [project, attacks] of Map.groupBy(some, ({ project }) => project ?? 'full')) {
    // The figures are read from /proc.
    describe.skipIf(process.platform !== 'linux')(`on a ${project} config`, () => {
      let stage: Stage;
      beforeAll(async () => {
        stage = await Stage.start({ project, timed: false, stores });
      });
      afterAll(() => stage.stop());
      for (const attack of attacks) {
        it(attack.name, async () => {
          const figures = await stage.run(attack, { seconds: SECONDS });
          console.log(timesOf(figures));
          expect(judge(attack, figures, stage.quiet), described(figures, stage.quiet)).toEqual([]);
        });
      }
    });
  }
}

describe('others are served, memory stays small and nobody gets in while a stranger sends', () =>
  withstand(attacks));
describe('the same on Kafka and Redis, while a stranger sends', () =>
  withstand(onKafka.map(attackOf), { brokers: inject('kafkaBrokers'), redis: inject('redisUrl') }));
