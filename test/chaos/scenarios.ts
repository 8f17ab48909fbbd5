import type { Scenario } from './scenario.ts';
import { deadLetterAway, dispatcherKill, functionDown, rebalance } from './scenarios/dispatchers.ts';
import { everything, everythingSpool } from './scenarios/everything.ts';
import { gatewayKill, gatewayTerm } from './scenarios/gateways.ts';
import {
  kafkaAwaySpool,
  kafkaBlackhole,
  kafkaReset,
  kafkaRestart,
  kafkaStall,
  kafkaUnready,
} from './scenarios/kafka.ts';
import {
  redisNetwork,
  redisNetworkRefuse,
  redisRestart,
  redisRestartRefuse,
  redisStall,
  redisStallRefuse,
} from './scenarios/redis.ts';

/** All of them, in the order of the journey. */
export const scenarios: readonly Scenario[] = [
  gatewayKill,
  gatewayTerm,
  redisRestart,
  redisRestartRefuse,
  redisStall,
  redisStallRefuse,
  redisNetwork,
  redisNetworkRefuse,
  kafkaRestart,
  kafkaStall,
  kafkaBlackhole,
  kafkaReset,
  kafkaUnready,
  kafkaAwaySpool,
  dispatcherKill,
  rebalance,
  functionDown,
  deadLetterAway,
  everything,
  everythingSpool,
];

/** Throws on a name that no scenario has. */
export function scenarioOf(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  throw new Error(`there is no scenario ${name}: ${scenarios.map((scenario) => scenario.name).join(', ')}`);
}
