import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../random.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';
import { functionDown, rebalance } from './dispatchers.ts';
import { gatewayKill, gatewayTerm } from './gateways.ts';
import { kafkaBlackhole, kafkaReset, kafkaRestart, kafkaStall } from './kafka.ts';
import { redisNetwork, redisRestart, redisStall } from './redis.ts';

/** Each goes its own way; two of one list would undo each other. */
const lanes: Scenario[][] = [
  [kafkaRestart, kafkaStall, kafkaBlackhole, kafkaReset],
  [redisRestart, redisStall, redisNetwork],
  [gatewayKill, gatewayTerm],
  [rebalance, functionDown],
];

const round = async (stage: Stage, random: Random) => {
  await Promise.all(
    lanes.map(async (scenarios) => {
      await sleep(random.between(0, 3_000));
      await random.pick(scenarios).round(stage, random);
    }),
  );
};

export const everything: Scenario = {
  name: 'everything',
  about: 'all of these at once',
  rounds: 1,
  round,
};

export const everythingSpool: Scenario = {
  name: 'everything-spool',
  about: 'all of these at once, with a spool',
  spool: true,
  rounds: 1,
  round,
};
