import type { Config } from './config.ts';
import { checkDedupe } from './dedupe/check.ts';
import { checkGateway } from './gateway/check.ts';
import { checkLog } from './log/check.ts';
import { checkSources } from './source/check.ts';
import { topicsOf } from './source/types.ts';
import { checkStreams } from './stream/check.ts';
import { checkSubscriptions } from './subscription/check.ts';
import type { Findings } from './text/findings.ts';
import { checkWorkflows } from './workflow/check.ts';

/** Checks settings against each other. */
export function checkTogether(config: Config, findings: Findings): void {
  const { gateway, admin, log, dedupe, streams } = config;
  if (gateway.listen.port !== 0 && gateway.listen.port === admin.listen.port)
    findings.error(
      ['admin', 'listen'],
      `port ${admin.listen.port} is the gateway's; health and metrics need their own`,
    );
  checkGateway(gateway, findings);
  checkDedupe(dedupe, log.timeout, findings);
  checkLog(log, findings);
  checkSources([...config.sources.values()], findings);
  checkSubscriptions([...config.subscriptions.values()], writtenTopics(config), findings);
  if (streams.size > 0 && 'kafka' in log.store && 'embedded' in dedupe.store)
    findings.warn(['dedupe'], 'is not shared: with more than one dispatcher the windows of streams are lost');
  checkStreams(streams.values(), findings);
  checkWorkflows(config.workflows.values(), findings);
}

/** The topics that parts of this config write to. */
function writtenTopics(config: Config): Set<string> {
  const topics = new Set<string>();
  for (const source of config.sources.values()) for (const topic of topicsOf(source)) topics.add(topic);
  for (const { deadLetter, reply } of config.subscriptions.values()) {
    topics.add(deadLetter);
    if (reply !== null) topics.add(reply);
  }
  for (const { name, emit } of config.streams.values()) topics.add(emit.topic).add(`${name}.late`);
  for (const { deadLetter, result } of config.workflows.values()) {
    topics.add(deadLetter);
    if (result !== null) topics.add(result);
  }
  return topics;
}
