import type { Platform } from './platform.ts';
import { refusing, type Scenario } from './scenario.ts';
import { brokersOne, brokersTwo, leadersMove, metadataStale } from './scenarios/brokers.ts';
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
import { producerFatal } from './scenarios/producer.ts';
import { redisNetwork, redisRestart, redisStall } from './scenarios/redis.ts';
import { clusterFailover, clusterSlots } from './scenarios/redis-cluster.ts';
import { redisEviction, redisMemory, redisScripts } from './scenarios/redis-memory.ts';
import { redisReadonly, sentinelFailover } from './scenarios/redis-sentinel.ts';
import { topicDeleted, topicMissing, topicRefused } from './scenarios/topics.ts';

/** All of them, in the order of the journey. */
export const scenarios: readonly Scenario<Platform>[] = [
  gatewayKill,
  gatewayTerm,
  redisRestart,
  refusing(redisRestart),
  redisStall,
  refusing(redisStall),
  redisNetwork,
  refusing(redisNetwork),
  redisEviction,
  redisMemory,
  refusing(redisMemory),
  redisScripts,
  redisReadonly,
  sentinelFailover,
  refusing(sentinelFailover),
  clusterFailover,
  refusing(clusterFailover),
  clusterSlots,
  kafkaRestart,
  kafkaStall,
  kafkaBlackhole,
  kafkaReset,
  kafkaUnready,
  kafkaAwaySpool,
  topicDeleted,
  topicMissing,
  topicRefused,
  producerFatal,
  brokersOne,
  brokersTwo,
  leadersMove,
  metadataStale,
  dispatcherKill,
  rebalance,
  functionDown,
  deadLetterAway,
  everything,
  everythingSpool,
];

/** Throws on a name that no scenario has. */
export function scenarioOf(name: string): Scenario<Platform> {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  throw new Error(`there is no scenario ${name}: ${scenarios.map((scenario) => scenario.name).join(', ')}`);
}
