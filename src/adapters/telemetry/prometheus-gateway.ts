import type { Registry } from 'prom-client';
import type { Verdict } from '../../core/event.ts';
import type { GroupFact, Report, RequestFact } from '../../ports/report.ts';
import { Histogram } from './histogram.ts';
import { scrapedCounter, scrapedGauge } from './scraped.ts';
import { makeTallies, SourceTally } from './tally.ts';

export interface GatewayGauges {
  bufferedBytes(): number;
  /** Bytes that may be buffered. */
  bufferedMax: number;
  /** What waits on disk for the log, and the bytes that may; null when there is no spool. */
  spool(): { events: number; bytes: number; max: number } | null;
  schemas(): number;
  schemaProblems(): number;
}

const VERDICTS = ['accepted', 'duplicate', 'rejected', 'retry'] as const satisfies Verdict[];
/** Statuses that have a label of their own; any other would be a bug and counts as `other`. */
const STATUSES = [200, 202, 204, 207, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 431, 500, 503];
/** Bounds of the histograms of durations. */
export const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const EVENTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2500];

/** Adds the metrics of the gateway. `names`: the sources of the config, the only ones that become labels. */
export function gatewayMetrics(registry: Registry, names: readonly string[], gauges: GatewayGauges): Report {
  const sources = makeTallies(names, SourceTally);
  const histogram = (name: string, help: string, bounds = SECONDS) =>
    new Histogram(registry, name, help, bounds);
  const ingest = histogram('ingest_seconds', 'From the head of a request to the reply.');
  const groupEvents = histogram('group_events', 'Events in one commit group.', EVENTS);
  const append = histogram('append_seconds', 'Time to append one commit group to the log.');
  const claim = histogram('claim_seconds', 'Time to claim the ids of one commit group.');
  let unchecked = 0;
  const known = new Uint8Array(600);
  for (const status of STATUSES) known[status] = 1;

  scrapedCounter(registry, 'events_total', 'Events by verdict.', ['source', 'verdict'], () =>
    [...sources].flatMap(([source, { verdicts }]) =>
      VERDICTS.map((verdict) => ({ source, verdict, value: verdicts[verdict] })),
    ),
  );
  scrapedCounter(registry, 'requests_total', 'Requests by status code.', ['source', 'code'], () =>
    [...sources].flatMap(([source, { codes }]) =>
      [...codes.entries()]
        .filter(([, value]) => value > 0)
        .map(([code, value]) => ({ source, code: code === 0 ? 'other' : String(code), value })),
    ),
  );
  const signaturesHelp = 'Signed requests by the secret that matched, or by the reason why none did.';
  scrapedCounter(registry, 'signatures_total', signaturesHelp, ['source', 'result'], () =>
    [...sources].flatMap(([source, { signatures }]) =>
      [...signatures.counts].map(([result, value]) => ({ source, result, value })),
    ),
  );
  const uncheckedHelp = 'Events stored without knowing whether they are duplicates.';
  scrapedCounter(registry, 'dedupe_unchecked_total', uncheckedHelp, [], () => [{ value: unchecked }]);
  gauge('buffered_bytes', 'Bytes of request bodies held now.', () => gauges.bufferedBytes());
  gauge('buffered_max_bytes', 'Bytes of request bodies that may be held.', () => gauges.bufferedMax);
  gauge('spool_events', 'Events that wait on disk for the log.', () => gauges.spool()?.events);
  gauge('spool_bytes', 'Bytes of the events that wait on disk for the log.', () => gauges.spool()?.bytes);
  gauge('spool_max_bytes', 'Bytes of events that may wait on disk for the log.', () => gauges.spool()?.max);
  gauge('schemas', 'Schemas in use.', () => gauges.schemas());
  gauge('schema_problems', 'Problems of the schema files as last read.', () => gauges.schemaProblems());

  return (fact) => {
    if (fact.kind === 'request') countRequest(fact);
    else if (fact.kind === 'group') countGroup(fact);
  };

  function countRequest({ source, status, ms, verdicts, signature }: RequestFact): void {
    const tally = sources.get(source) ?? sources.get('unknown')!;
    tally.codes[known[status] === 1 ? status : 0]!++;
    for (const verdict of VERDICTS) tally.verdicts[verdict] += verdicts[verdict];
    if (signature !== undefined) tally.signatures.add(signature, 1);
    ingest.observe(ms / 1000);
  }

  function countGroup(fact: GroupFact): void {
    groupEvents.observe(fact.events);
    if (fact.claimMs !== null) claim.observe(fact.claimMs / 1000);
    if (fact.appendMs !== null) append.observe(fact.appendMs / 1000);
    unchecked += fact.unchecked;
  }

  function gauge(name: string, help: string, value: () => number | undefined): void {
    scrapedGauge(registry, name, help, [], () => {
      const now = value();
      return now === undefined ? [] : [{ value: now }];
    });
  }
}
