import type { Config, SubscriptionConfig } from './config.ts';
import { checkSources } from './config-source-cross.ts';
import type { Findings } from './config-text.ts';
import { checkOrigin } from './config-values.ts';
import { formatDuration, formatSize } from './units.ts';

/** Checks what only several settings together can tell. */
export function checkTogether(config: Config, findings: Findings): void {
  checkGateway(config, findings);
  checkDedupe(config, findings);
  checkSpool(config, findings);
  checkSources([...config.sources.values()], findings);
  const groups = new Map<string, string>();
  const written = writtenTopics(config);
  for (const subscription of config.subscriptions.values()) {
    checkSubscription(subscription, written, findings);
    const other = groups.get(subscription.group);
    const path = ['subscriptions', subscription.name, 'group'];
    if (other !== undefined) {
      findings.error(
        path,
        `group ${subscription.group} is that of ${other} too; each would get only part of the events`,
      );
    }
    groups.set(subscription.group, subscription.name);
  }
}

function checkGateway({ gateway, admin }: Config, findings: Findings): void {
  if (gateway.listen.port !== 0 && gateway.listen.port === admin.listen.port) {
    findings.error(
      ['admin', 'listen'],
      `port ${admin.listen.port} is the gateway's; health and metrics need their own`,
    );
  }
  const { limits, cors } = gateway;
  const order = ['event', 'decompressed', 'buffered'] as const;
  for (const [index, name] of order.slice(0, -1).entries()) {
    const next = order[index + 1]!;
    if (limits[name] > limits[next]) {
      findings.error(
        ['gateway', 'limits', name],
        `is more than limits.${next} (${formatSize(limits[next])})`,
      );
    }
  }
  if (limits.decompressed < limits.body) {
    findings.error(
      ['gateway', 'limits', 'decompressed'],
      `is less than limits.body (${formatSize(limits.body)})`,
    );
  }
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
  for (const { deadLetter } of config.subscriptions.values()) topics.add(deadLetter);
  return topics;
}

function checkSubscription(subscription: SubscriptionConfig, written: Set<string>, findings: Findings): void {
  const { name, topics, deadLetter, retry } = subscription;
  const base = ['subscriptions', name];
  for (const [index, topic] of topics.entries()) {
    if (topics.indexOf(topic) < index) findings.error([...base, 'topics', index], `${topic} is listed twice`);
    else if (topic === deadLetter) {
      findings.error(
        [...base, 'deadLetter'],
        `${topic} is among its own topics: failures would go round for ever`,
      );
    } else if (!written.has(topic)) {
      findings.warn([...base, 'topics', index], `no source here writes to ${topic}`);
    }
  }
  if (retry.min > retry.max) {
    findings.error([...base, 'retry', 'min'], `is more than retry.max (${formatDuration(retry.max)})`);
  }
  const mode = [...base, 'function', 'http', 'mode'];
  if (subscription.function.http.mode === 'batch') {
    findings.warn(
      mode,
      'the function must understand application/cloudevents-batch+json; many take a batch for one empty event',
    );
  } else if (findings.written([...base, 'batch'])) {
    findings.warn([...base, 'batch'], 'has no effect unless function.http.mode is batch');
  }
}
