import { formatDuration } from '../core/units.ts';
import type { Config } from './config.ts';
import { checkLimits } from './gateway/limits.ts';
import { checkSources } from './source/check.ts';
import { checkStreams } from './stream/check.ts';
import { checkSubscriptions } from './subscription/check.ts';
import type { Findings } from './text/text.ts';
import { checkOrigin } from './values.ts';
import { checkWorkflows } from './workflow/check.ts';

/** Checks what only several settings together can tell. */
export function checkTogether(config: Config, findings: Findings): void {
  checkGateway(config, findings);
  checkDedupe(config, findings);
  checkSpool(config, findings);
  checkSources([...config.sources.values()], findings);
  checkSubscriptions([...config.subscriptions.values()], writtenTopics(config), findings);
  checkStreams(config, findings);
  checkWorkflows(config.workflows.values(), findings);
}

function checkGateway({ gateway, admin }: Config, findings: Findings): void {
  if (gateway.listen.port !== 0 && gateway.listen.port === admin.listen.port) {
    findings.error(
      ['admin', 'listen'],
      `port ${admin.listen.port} is the gateway's; health and metrics need their own`,
    );
  }
  checkLimits(gateway.limits, findings);
  const { cors } = gateway;
  for (const [index, origin] of cors.origins.entries()) {
    const path = ['gateway', 'cors', 'origins', index];
    if (origin === '*' && cors.credentials)
      findings.error(path, '* cannot go with credentials; name the origins');
    if (origin !== '*') checkOrigin(findings, path, origin);
  }
}

function checkSpool({ log }: Config, findings: Findings): void {
  const { spool, store, timeout } = log;
  if (spool === null) return;
  if (!('kafka' in store))
    findings.warn(['log', 'spool'], 'has no use before the embedded log, which is a file too');
  if (spool.after >= timeout) {
    findings.error(
      ['log', 'spool', 'after'],
      `must be less than log.timeout (${formatDuration(timeout)}), when requests are answered 503`,
    );
  }
}

function checkDedupe({ dedupe, log }: Config, findings: Findings): void {
  const lease = ['dedupe', 'lease'];
  const timeout = 'redis' in dedupe.store ? dedupe.store.redis.timeout : 0;
  if (dedupe.lease <= timeout) {
    findings.error(lease, `must be longer than redis.timeout (${formatDuration(timeout)})`);
  } else if (dedupe.lease <= log.timeout) {
    findings.warn(
      lease,
      `is not longer than log.timeout (${formatDuration(log.timeout)}): a slow append may outlive its claim`,
    );
  }
  if (dedupe.window < dedupe.lease) {
    findings.error(['dedupe', 'window'], `is less than lease (${formatDuration(dedupe.lease)})`);
  }
}

function writtenTopics(config: Config): Set<string> {
  const topics = new Set<string>();
  for (const { topic } of config.sources.values()) topics.add(topic).add(`${topic}.rejected`);
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
