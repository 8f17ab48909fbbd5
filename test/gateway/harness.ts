import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listen } from '../../src/adapters/runtime/listen.ts';
import { nodePlatform } from '../../src/adapters/runtime/node-platform.ts';
import { sqliteDedupeStore } from '../../src/adapters/sqlite/dedupe-store.ts';
import { sqliteEventLog } from '../../src/adapters/sqlite/event-log.ts';
import type { Config } from '../../src/config/config.ts';
import { readConfig } from '../../src/config/read.ts';
import { makeGateway } from '../../src/gateway/app.ts';
import { makeLimiter } from '../../src/gateway/rate/rate-limiter.ts';
import type { DedupeStore } from '../../src/ports/dedupe-store.ts';
import type { EventLog, StoredRecord } from '../../src/ports/event-log.ts';
import type { GroupFact, Report, RequestFact } from '../../src/ports/report.ts';
import type { Tracing } from '../../src/ports/tracing.ts';
import { compileSchemas } from '../../src/schema/compile.ts';
import { readTopic } from '../contracts/read-topic.ts';

/** Config from YAML; throws with the problems when it has errors. */
function configOf(text: string): Config {
  const { config, problems } = readConfig(text, {}, { file: 'test.yaml' });
  if (config === null) throw new Error(JSON.stringify(problems, null, 1));
  return config;
}

export interface Harness {
  url: string;
  port: number;
  requests: RequestFact[];
  groups: GroupFact[];
  bufferedBytes(): number;
  /** Everything in a topic, read from its start. */
  read(topic: string): Promise<StoredRecord[]>;
  beginStop(): void;
  close(): Promise<void>;
}

export interface HarnessOptions {
  yaml: string;
  schemas?: Record<string, unknown>;
  wrapLog?: (log: EventLog) => EventLog;
  wrapDedupe?: (store: DedupeStore) => DedupeStore;
  outage?: 'accept' | 'refuse';
  tracing?: Tracing | null;
}

/** A whole gateway in this process, on the embedded log and dedupe store and a real socket. */
export async function startGateway(options: HarnessOptions): Promise<Harness> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-test-'));
  const config = configOf(
    `${options.yaml}\nlog: { embedded: { path: ${folder} }, timeout: 2s }\ndedupe: { embedded: { path: ${folder} }, lease: 5s, outage: ${options.outage ?? 'accept'} }\nschemas: ./schemas\n`,
  );
  const onError = (error: Error) => {
    throw error;
  };
  const sqlite = sqliteEventLog({ path: folder, retention: { age: 3_600_000, size: 1e9 }, onError });
  const log = options.wrapLog?.(sqlite) ?? sqlite;
  const store = sqliteDedupeStore({
    path: folder,
    window: config.dedupe.window,
    lease: config.dedupe.lease,
    onError,
  });
  const dedupe = options.wrapDedupe?.(store) ?? store;
  const platform = nodePlatform();
  const files = Object.entries(options.schemas ?? {}).map(([name, schema]) => ({
    path: `${name}.json`,
    text: JSON.stringify(schema),
  }));
  const { set, problems } = compileSchemas(files);
  if (problems.some((problem) => problem.level === 'error')) throw new Error(JSON.stringify(problems));
  const requests: RequestFact[] = [];
  const groups: GroupFact[] = [];
  const report: Report = (fact) => {
    if (fact.kind === 'request') requests.push(fact);
    else if (fact.kind === 'group') groups.push(fact);
  };
  const limiter = makeLimiter({ sources: config.sources.values(), store: null, digests: platform });
  const gateway = makeGateway({
    config,
    schemas: () => set,
    log,
    dedupe,
    limiter,
    platform,
    report,
    tracing: options.tracing ?? null,
  });
  const { keepAlive, limits } = config.gateway;
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    keepAlive,
    maxHeaders: limits.headers,
    connections: {
      headTime: limits.headTime,
      total: limits.connections,
      perAddress: limits.connectionsPerAddress,
      isExempt: () => false,
    },
    fetch: (request, env) => gateway.app.fetch(request, env),
  });
  return {
    url: `http://127.0.0.1:${listener.port}`,
    port: listener.port,
    requests,
    groups,
    bufferedBytes: gateway.bufferedBytes,
    read: (topic) => readTopic(sqlite, topic),
    beginStop: gateway.beginStop,
    async close() {
      listener.destroy();
      await listener.close();
      await gateway.settled();
      await log.close();
      await dedupe.close();
      platform.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
