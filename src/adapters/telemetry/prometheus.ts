import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Verdict } from '../../core/event.ts';
import type { DeliveryFacts, DeliveryOutcome, GroupFacts, Report, RequestFacts } from '../../ports/report.ts';
import { collectable, Histogram, SourceTally, SubscriptionTally, tallies } from './tally.ts';

export interface PrometheusOptions {
  /** Names from the config: the only ones that become labels. */
  sources: string[];
  subscriptions: string[];
  version: string;
  /** Asked at each scrape. */
  bufferedBytes(): number;
  /** Bytes that may be buffered. */
  bufferedMax: number;
  /** What waits on disk for the log, and the bytes that may; null when there is no spool. */
  spool(): { events: number; bytes: number; max: number } | null;
  /** As /readyz says it. */
  health(): { ready: boolean; parts: Record<string, { state: string }> };
  schemas(): number;
  schemaProblems(): number;
  inflight(): SubscriptionGauge[];
  /** Only partitions whose lag is known. */
  lag(): (SubscriptionGauge & { topic: string; partition: number })[];
  /** Seconds that the oldest event in work has been in the log; only subscriptions that have one. */
  oldest(): SubscriptionGauge[];
  /** 1 while the subscription's function is held to be down, else 0. */
  open(): SubscriptionGauge[];
}

interface SubscriptionGauge {
  subscription: string;
  value: number;
}

export interface PrometheusReport {
  report: Report;
  /** For further metrics. */
  registry: Registry;
  /** The text of a scrape. */
  metrics(): Promise<string>;
  contentType: string;
}

const VERDICTS = ['accepted', 'duplicate', 'rejected', 'retry'] as const satisfies Verdict[];
const OUTCOMES = ['delivered', 'filtered', 'retry', 'dead_letter'] as const satisfies DeliveryOutcome[];
/** Statuses that have a label of their own; any other would be a bug and counts as `other`. */
const STATUSES = [
  200, 202, 204, 207, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 431, 500, 503,
] as const;
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const EVENTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2500];

/** Facts as Prometheus metrics, in a registry of its own. */
export function prometheusReport(options: PrometheusOptions): PrometheusReport {
  const registry = new Registry();
  const sources = tallies([...options.sources, 'unknown'], SourceTally);
  const subscriptions = tallies([...options.subscriptions, 'unknown'], SubscriptionTally);
  const ingest = new Histogram(SECONDS);
  const groupEvents = new Histogram(EVENTS);
  const append = new Histogram(SECONDS);
  const claim = new Histogram(SECONDS);
  const delivery = new Histogram(SECONDS);
  let unchecked = 0;
  const known = new Uint8Array(600);
  for (const status of STATUSES) known[status] = 1;

  const report: Report = {
    request({ source, status, ms, verdicts, signature }: RequestFacts) {
      const tally = sources.get(source) ?? sources.get('unknown')!;
      tally.codes[known[status] === 1 ? status : 0]!++;
      for (const verdict of VERDICTS) tally.verdicts[verdict] += verdicts[verdict];
      if (signature !== undefined) tally.signatures.add(signature, 1);
      ingest.observe(ms / 1000);
    },
    group(facts: GroupFacts) {
      groupEvents.observe(facts.events);
      if (facts.claimMs !== null) claim.observe(facts.claimMs / 1000);
      if (facts.appendMs !== null) append.observe(facts.appendMs / 1000);
      unchecked += facts.unchecked;
    },
    delivery({ subscription, outcome, events, ms, reason }: DeliveryFacts) {
      const tally = subscriptions.get(subscription) ?? subscriptions.get('unknown')!;
      tally.outcomes[outcome] += events;
      if (outcome === 'dead_letter') tally.reasons.add(reason ?? 'unknown', events);
      if (reason === 'delivered_before') tally.remembered.add(reason, events);
      if (ms !== null) delivery.observe(ms / 1000);
    },
    reply({ subscription, outcome, events }) {
      (subscriptions.get(subscription) ?? subscriptions.get('unknown')!).replies.add(outcome, events);
    },
    unremembered({ subscription, outcome, events }) {
      (subscriptions.get(subscription) ?? subscriptions.get('unknown')!).remembered.add(outcome, events);
    },
  };

  const registers = [registry];
  counter('events_total', 'Events by what became of them.', ['source', 'verdict'], (set) => {
    for (const [source, { verdicts }] of sources)
      for (const verdict of VERDICTS) set({ source, verdict }, verdicts[verdict]);
  });
  counter('requests_total', 'Requests by status code.', ['source', 'code'], (set) => {
    for (const [source, { codes }] of sources)
      for (const [code, count] of codes.entries())
        if (count > 0) set({ source, code: code === 0 ? 'other' : String(code) }, count);
  });
  counter('signatures_total', 'By the secret that matched, or why none did.', ['source', 'result'], (set) => {
    for (const [source, { signatures }] of sources)
      for (const [result, count] of signatures.counts) set({ source, result }, count);
  });
  histogram('ingest_seconds', 'From the head of a request to the reply.', ingest);
  histogram('group_events', 'Events in one commit group.', groupEvents);
  histogram('append_seconds', 'Time to append one commit group to the log.', append);
  histogram('claim_seconds', 'Time to claim the ids of one commit group.', claim);
  gauge('buffered_bytes', 'Bytes of request bodies held now.', [], (set) => set({}, options.bufferedBytes()));
  gauge('buffered_max_bytes', 'Bytes of request bodies that may be held.', [], (set) =>
    set({}, options.bufferedMax),
  );
  gauge('spool_events', 'Events that wait on disk for the log.', [], (set) => {
    const spool = options.spool();
    if (spool !== null) set({}, spool.events);
  });
  gauge('spool_bytes', 'Bytes of the events that wait on disk for the log.', [], (set) => {
    const spool = options.spool();
    if (spool !== null) set({}, spool.bytes);
  });
  gauge('spool_max_bytes', 'Bytes of events that may wait on disk for the log.', [], (set) => {
    const spool = options.spool();
    if (spool !== null) set({}, spool.max);
  });
  counter('dedupe_unchecked_total', 'Events stored without knowing whether they are duplicates.', [], (set) =>
    set({}, unchecked),
  );
  counter('deliveries_total', 'Events by outcome of a delivery.', ['subscription', 'outcome'], (set) => {
    for (const [subscription, { outcomes }] of subscriptions)
      for (const outcome of OUTCOMES) set({ subscription, outcome }, outcomes[outcome]);
  });
  histogram('delivery_seconds', 'Time of one call of a function.', delivery);
  gauge('inflight', 'Calls of functions in work now.', ['subscription'], (set) => {
    for (const { subscription, value } of options.inflight()) set({ subscription }, value);
  });
  gauge(
    'lag_events',
    'Events behind the end of a partition.',
    ['subscription', 'topic', 'partition'],
    (set) => {
      for (const { value, ...labels } of options.lag()) set(labels, value);
    },
  );
  gauge('oldest_seconds', 'Age of the oldest event in work.', ['subscription'], (set) => {
    for (const { subscription, value } of options.oldest()) set({ subscription }, value);
  });
  gauge(
    'breaker_open',
    '1 while calls are stopped because the function is down.',
    ['subscription'],
    (set) => {
      for (const { subscription, value } of options.open()) set({ subscription }, value);
    },
  );
  counter('dead_letters_total', 'Events given up.', ['subscription', 'reason'], (set) => {
    for (const [subscription, { reasons }] of subscriptions)
      for (const [reason, count] of reasons.counts) set({ subscription, reason }, count);
  });
  counter('replies_total', 'Events that functions answered with.', ['subscription', 'outcome'], (set) => {
    for (const [subscription, { replies }] of subscriptions)
      for (const [outcome, count] of replies.counts) set({ subscription, outcome }, count);
  });
  counter(
    'remembered_total',
    'Events by what was known of their delivery.',
    ['subscription', 'result'],
    (set) => {
      for (const [subscription, { remembered }] of subscriptions)
        for (const [result, count] of remembered.counts) set({ subscription, result }, count);
    },
  );
  gauge('schemas', 'Schemas in use.', [], (set) => set({}, options.schemas()));
  gauge('schema_problems', 'Problems of the schema files as last read.', [], (set) =>
    set({}, options.schemaProblems()),
  );
  gauge('ready', '1 while /readyz answers 200, else 0.', [], (set) =>
    set({}, options.health().ready ? 1 : 0),
  );
  gauge('part_ok', '1 while /readyz finds nothing wrong with a part, else 0.', ['part'], (set) => {
    for (const [part, { state }] of Object.entries(options.health().parts))
      set({ part }, state === 'ok' ? 1 : 0);
  });
  gauge('memory_max_bytes', 'Memory that the container may use.', [], (set) => {
    const most = process.constrainedMemory();
    // Without a limit it is 0, or more than there can be.
    if (most > 0 && most < Number.MAX_SAFE_INTEGER) set({}, most);
  });
  gauge('build_info', 'The version that runs; always 1.', ['version'], (set) =>
    set({ version: options.version }, 1),
  );
  collectDefaultMetrics({ register: registry });
  // Gauges named like counters, which promtool refuses; each is the sum of one without `_total`.
  for (const kind of ['handles', 'requests', 'resources'])
    registry.removeSingleMetric(`nodejs_active_${kind}_total`);
  return { report, registry, metrics: () => registry.metrics(), contentType: registry.contentType };

  function counter<L extends string>(name: string, help: string, labelNames: L[], each: Collect<L>): void {
    new Counter<L>({
      name: `postern_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        each((labels, value) => this.inc(labels, value));
      },
    });
  }

  function gauge<L extends string>(name: string, help: string, labelNames: L[], each: Collect<L>): void {
    new Gauge<L>({
      name: `postern_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        // One without labels would be 0 where there is nothing to say.
        if (labelNames.length === 0) this.remove();
        each((labels, value) => this.set(labels, value));
      },
    });
  }

  function histogram(name: string, help: string, tally: Histogram): void {
    registry.registerMetric(collectable(`postern_${name}`, help, tally));
  }
}

type Collect<L extends string> = (
  set: (labels: Partial<Record<L, string | number>>, value: number) => void,
) => void;
