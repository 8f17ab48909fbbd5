import type { Config } from '../config/config.ts';
import { makeClientAddress, makeClientGroup } from '../core/address.ts';
import type { DedupeStore } from '../ports/dedupe-store.ts';
import type { Appender } from '../ports/event-log.ts';
import type { Platform } from '../ports/platform.ts';
import type { Report } from '../ports/report.ts';
import type { Tracing } from '../ports/tracing.ts';
import type { SchemaSet } from '../schema/registry.ts';
import { CommitGroups } from './commit/group.ts';
import { RecentIds } from './commit/recent-ids.ts';
import { type Http, makeHttp } from './http.ts';
import { rejectedRecord } from './pipeline.ts';
import type { Limiter } from './rate/limiter.ts';

export interface GatewayOptions {
  config: Config;
  schemas: () => SchemaSet;
  log: Appender;
  dedupe: DedupeStore;
  limiter: Limiter | null;
  platform: Platform;
  report: Report;
  /** Default: nobody traces. */
  tracing?: Tracing | null;
}

export interface Gateway extends Http {
  /** Resolves when every group is settled and its ids are confirmed. */
  settled(): Promise<void>;
}

/** What is kept of ids against repeats while the dedupe store is down: some 4 MiB at most. */
const RECENT_IDS = 50_000;
const RECENT_MS = 300_000;

/** The gateway that stores events: its ingest application, and the commit groups behind it. */
export function makeGateway(options: GatewayOptions): Gateway {
  const { proxies, clientAddress } = options.config.gateway;
  const groups = makeGroups(options);
  return {
    ...makeHttp({
      ...options,
      groups,
      relay: null,
      clientAddress: clientAddress === 'none' ? null : makeClientAddress(proxies, clientAddress),
      clientGroup: makeClientGroup(proxies),
      tracing: options.tracing ?? null,
    }),
    async settled() {
      await Promise.all([...groups.values()].map((group) => group.idle()));
    },
  };
}

function makeGroups({ config, log, dedupe, report }: GatewayOptions): Map<string, CommitGroups> {
  const groups = new Map<string, CommitGroups>();
  const recent = new RecentIds({ ids: RECENT_IDS, life: Math.min(RECENT_MS, config.dedupe.window) });
  for (const source of config.sources.values()) {
    if (groups.has(source.topic)) continue;
    const { outage, lease } = config.dedupe;
    const { timeout } = config.log;
    const tooLarge = (record: Parameters<typeof rejectedRecord>[0]) =>
      rejectedRecord(
        record,
        [{ code: 'event_too_large', detail: "over the topic's record size limit" }],
        source.name,
        true,
      );
    groups.set(
      source.topic,
      new CommitGroups({
        topic: source.topic,
        log,
        dedupe,
        recent,
        report,
        outage,
        timeout,
        lease,
        tooLarge,
      }),
    );
  }
  return groups;
}
