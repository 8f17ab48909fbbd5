import type { Registry } from 'prom-client';
import type { DeliveryFact, DeliveryOutcome, Report } from '../../ports/report.ts';
import { Histogram } from './histogram.ts';
import { SECONDS } from './prometheus-gateway.ts';
import { type Sample, scrapedCounter, scrapedGauge } from './scraped.ts';
import { makeTallies, SubscriptionTally, type WordCounter } from './tally.ts';

export interface SubscriptionGauges {
  inflight(): Sample<'subscription'>[];
  /** Only partitions whose lag is known. */
  lag(): Sample<'subscription' | 'topic' | 'partition'>[];
  /** Seconds that the oldest event in work has been in the log; only subscriptions that have one. */
  oldest(): Sample<'subscription'>[];
  /** 1 while the subscription's breaker is open, else 0. */
  open(): Sample<'subscription'>[];
}

type CounterOf = (tally: SubscriptionTally) => WordCounter;

const OUTCOMES = ['delivered', 'filtered', 'retry', 'dead_letter'] as const satisfies DeliveryOutcome[];

/** Adds the metrics of subscriptions. `names`: those of the config, the only ones that become labels. */
export function subscriptionMetrics(
  registry: Registry,
  names: readonly string[],
  gauges: SubscriptionGauges,
): Report {
  const subscriptions = makeTallies(names, SubscriptionTally);
  const seconds = new Histogram(registry, 'delivery_seconds', 'Time of one call of a function.', SECONDS);
  const labels: ['subscription', 'outcome'] = ['subscription', 'outcome'];
  scrapedCounter(registry, 'deliveries_total', 'Events by outcome of a delivery.', labels, () =>
    [...subscriptions].flatMap(([subscription, { outcomes }]) =>
      OUTCOMES.map((outcome) => ({ subscription, outcome, value: outcomes[outcome] })),
    ),
  );
  words('dead_letters_total', 'Events given up.', 'reason', ({ reasons }) => reasons);
  words('replies_total', 'Events that functions replied with.', 'outcome', ({ replies }) => replies);
  words('remembered_total', 'Events by earlier delivery.', 'result', ({ remembered }) => remembered);
  gauge('inflight', 'Calls of functions in work now.', gauges.inflight);
  gauge('oldest_seconds', 'Age of the oldest event in work.', gauges.oldest);
  gauge('breaker_open', '1 while calls are stopped because the function is down.', gauges.open);
  scrapedGauge(
    registry,
    'lag_events',
    'Events behind the end of a partition.',
    ['subscription', 'topic', 'partition'],
    gauges.lag,
  );

  return (fact) => {
    if (fact.kind === 'delivery') countDelivery(fact);
    else if (fact.kind === 'reply') tallyOf(fact).replies.add(fact.outcome, fact.events);
    else if (fact.kind === 'unremembered') tallyOf(fact).remembered.add(fact.outcome, fact.events);
  };

  function countDelivery(fact: DeliveryFact): void {
    const { outcome, events, ms, reason } = fact;
    const tally = tallyOf(fact);
    tally.outcomes[outcome] += events;
    if (outcome === 'dead_letter') tally.reasons.add(reason ?? 'unknown', events);
    if (reason === 'delivered_before') tally.remembered.add(reason, events);
    if (ms !== null) seconds.observe(ms / 1000);
  }

  function tallyOf({ subscription }: { subscription: string }): SubscriptionTally {
    return subscriptions.get(subscription) ?? subscriptions.get('unknown')!;
  }

  function words(name: string, help: string, label: string, counterOf: CounterOf): void {
    scrapedCounter(registry, name, help, ['subscription', label], () =>
      [...subscriptions].flatMap(([subscription, tally]) =>
        [...counterOf(tally).counts].map(([word, value]) => ({ subscription, [label]: word, value })),
      ),
    );
  }

  function gauge(name: string, help: string, samples: () => Sample<'subscription'>[]): void {
    scrapedGauge(registry, name, help, ['subscription'], samples);
  }
}
