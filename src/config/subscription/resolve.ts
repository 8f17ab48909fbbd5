import { readFunction } from '../function/resolve.ts';
import type { Path } from '../text/path.ts';
import { checkName, checkTopic, checkTopics } from '../values/check.ts';
import type { Reader } from '../values/reader.ts';
import { checkFilters } from './filters.ts';
import type { SubscriptionDocument } from './shape.ts';
import type { SubscriptionConfig } from './types.ts';

/** Makes a subscription of its document, and checks each value on its own. `creates`: whether missing topics are created. */
export function readSubscription(
  name: string,
  raw: SubscriptionDocument,
  creates: boolean,
  reader: Reader,
): SubscriptionConfig {
  const { findings, time, size } = reader;
  const at = (...rest: (string | number)[]): Path => ['subscriptions', name, ...rest];
  checkName(findings, at(), name);
  checkTopics(findings, at('topics'), raw.topics);
  const deadLetter = raw.deadLetter ?? `${name}.dead`;
  checkTopic(findings, at('deadLetter'), deadLetter);
  const redrive = raw.redrive ?? (creates ? `${name}.redrive` : null);
  if (redrive !== null) checkTopic(findings, at('redrive'), redrive);
  if (raw.reply !== undefined) checkTopic(findings, at('reply'), raw.reply);
  checkFilters(findings, at('filters'), raw.filters);
  const { age } = raw.retry;
  return {
    ...raw,
    name,
    group: raw.group ?? `postern.${name}`,
    filter: raw.filter ?? null,
    function: readFunction(at('function'), raw.function, reader),
    timeout: time(at('timeout'), raw.timeout),
    rate: raw.rate ?? null,
    batch: {
      ...raw.batch,
      wait: time(at('batch', 'wait'), raw.batch.wait, 0),
      size: size(at('batch', 'size'), raw.batch.size, 2 ** 28),
    },
    retry: {
      attempts: raw.retry.attempts,
      min: time(at('retry', 'min'), raw.retry.min, 0),
      max: time(at('retry', 'max'), raw.retry.max, 0),
    },
    retryAge: age === undefined ? null : time(at('retry', 'age'), age),
    dedupe: raw.dedupe === undefined ? null : time(at('dedupe'), raw.dedupe, 1_000),
    deadLetter,
    redrive,
    reply: raw.reply ?? null,
    warm: raw.warm === undefined ? null : time(at('warm'), raw.warm, 1_000),
  };
}
