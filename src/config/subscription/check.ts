import { formatDuration, formatSize } from '../../core/units.ts';
import type { Findings } from '../text/text.ts';
import { type SubscriptionConfig, takesBatches } from './types.ts';

/** Bytes of a Lambda call: AWS queues only small ones. */
const LAMBDA_SIZE = { sync: 6 * 1024 * 1024, async: 1024 * 1024 };

/** Checks what only several settings of subscriptions together can tell. `written`: topics that something here writes to. */
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
        `group ${subscription.group} is that of ${other} too; each would get only part of the events`,
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
  if (redrive === deadLetter) findings.error([...base, 'redrive'], `${redrive} is its dead-letter topic`);
  for (const [index, topic] of topics.entries()) {
    if (topics.indexOf(topic) < index) findings.error([...base, 'topics', index], `${topic} is listed twice`);
    else if (topic === deadLetter) {
      findings.error(
        [...base, 'deadLetter'],
        `${topic} is among its own topics: failures would go round for ever`,
      );
    } else if (topic === redrive) {
      findings.error([...base, 'redrive'], `${topic} is among its own topics`);
    } else if (topic === reply) {
      findings.warn(
        [...base, 'reply'],
        `${topic} is among its own topics: an event may go round until its hops end`,
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
    const most = LAMBDA_SIZE[invoke];
    if (batch.size > most)
      findings.error(
        [...base, 'batch', 'size'],
        `is more than Lambda takes of a call that is ${invoke} (${formatSize(most)})`,
      );
    if (invoke === 'async' && reply !== null)
      findings.error([...base, 'reply'], 'cannot go with function.lambda.invoke async, which has no answer');
    return;
  }
  if (takesBatches(fn)) {
    findings.warn(
      [...base, 'function', 'http', 'mode'],
      'the function must understand application/cloudevents-batch+json; many take a batch for one empty event',
    );
  } else if (findings.written([...base, 'batch'])) {
    findings.warn(
      [...base, 'batch'],
      'has no effect unless function.http.mode is batch or the function is a lambda',
    );
  }
}
