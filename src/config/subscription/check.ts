import { formatDuration, formatSize } from '../../core/units.ts';
import { takesBatches } from '../function/types.ts';
import type { Findings } from '../text/findings.ts';
import type { SubscriptionConfig } from './types.ts';

/** Largest Lambda call in bytes, by AWS's limits. */
const LAMBDA_SIZE = { sync: 6 * 1024 * 1024, async: 1024 * 1024 };

/** Checks settings of subscriptions against each other. `written`: topics that parts of this config write to. */
export function checkSubscriptions(
  subscriptions: SubscriptionConfig[],
  written: ReadonlySet<string>,
  findings: Findings,
): void {
  const groups = new Map<string, string>();
  for (const subscription of subscriptions) {
    checkTopics(subscription, written, findings);
    checkCalls(subscription, findings);
    const other = groups.get(subscription.group);
    if (other !== undefined) {
      findings.error(
        ['subscriptions', subscription.name, 'group'],
        `group ${subscription.group} is also the group of ${other}; each would get only a part of the events`,
      );
    }
    groups.set(subscription.group, subscription.name);
  }
}

function checkTopics(
  { name, topics, deadLetter, redrive, reply }: SubscriptionConfig,
  written: ReadonlySet<string>,
  findings: Findings,
): void {
  const base = ['subscriptions', name];
  if (redrive === deadLetter)
    findings.error([...base, 'redrive'], `${redrive} is also its dead-letter topic`);
  for (const [index, topic] of topics.entries()) {
    if (topics.indexOf(topic) < index) findings.error([...base, 'topics', index], `${topic} is listed twice`);
    else if (topic === deadLetter) {
      findings.error(
        [...base, 'deadLetter'],
        `${topic} is among its own topics, so failed events would go round for ever`,
      );
    } else if (topic === redrive) {
      findings.error([...base, 'redrive'], `${topic} is among its own topics`);
    } else if (topic === reply) {
      findings.warn(
        [...base, 'reply'],
        `${topic} is among its own topics, so an event may go round until it reaches the limit of hops`,
      );
    } else if (!written.has(topic)) {
      findings.warn([...base, 'topics', index], `no source here writes to ${topic}`);
    }
  }
}

function checkCalls(subscription: SubscriptionConfig, findings: Findings): void {
  const { name, retry, batch, reply } = subscription;
  const fn = subscription.function;
  const base = ['subscriptions', name];
  if (retry.min > retry.max) {
    findings.error([...base, 'retry', 'min'], `is more than retry.max (${formatDuration(retry.max)})`);
  }
  if ('lambda' in fn) {
    const { invoke } = fn.lambda;
    const max = LAMBDA_SIZE[invoke];
    if (batch.size > max)
      findings.error(
        [...base, 'batch', 'size'],
        `is more than Lambda's limit for ${invoke} calls (${formatSize(max)})`,
      );
    if (invoke === 'async' && reply !== null)
      findings.error(
        [...base, 'reply'],
        'cannot go with function.lambda.invoke async, because such a call has no result',
      );
    return;
  }
  if (takesBatches(fn)) {
    findings.warn(
      [...base, 'function', 'http', 'mode'],
      'batch needs a function that reads application/cloudevents-batch+json; many functions read a batch as one empty event',
    );
  } else if (findings.written([...base, 'batch'])) {
    findings.warn([...base, 'batch'], 'has no effect: it needs function.http.mode batch, or function.lambda');
  }
}
