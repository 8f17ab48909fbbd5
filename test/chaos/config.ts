import type { TestFunction } from './function.ts';
import type { Platform } from './platform.ts';

export interface ConfigOptions {
  platform: Platform;
  /** Of all names in Kafka and Redis. */
  prefix: string;
  fn: TestFunction;
  spool: boolean;
  outage: 'accept' | 'refuse';
  create: boolean;
  client: string;
  sources: readonly { name: string; topic: string }[];
  subscriptions: readonly { name: string; topic: string; group: string; dead: string }[];
}

const CALLS: Record<string, string> = {
  all: 'mode: batch } }\n    batch: { events: 50, wait: 100ms }',
  b: '} }\n    filter: event.data.lane == "b"',
};

/** The config of every process, as YAML. */
export function configOf(options: ConfigOptions): string {
  const { platform, prefix, fn, spool, outage, create, client, sources, subscriptions } = options;
  const { brokers, redis } = platform.config;
  return `
log:
  kafka: { brokers: [${brokers}], client: ${client}${create ? ', create: { partitions: 4 }' : ''} }
  timeout: 4s
${spool ? "  spool: { path: '{folder}/spool', after: 1s }" : ''}
dedupe:
  redis: { ${redis}, prefix: '${prefix}:' }
  lease: 8s
  outage: ${outage}
grace: 15s
sources:
${sources.map(({ name, topic }) => `  ${name}: { topic: ${topic}, id: [/id], key: /device, schema: chaos }`).join('\n')}
subscriptions:
${subscriptions
  .map(
    ({ name, topic, group, dead }) => `  ${name}:
    group: ${group}
    topics: [${topic}]
    function: { http: { url: '${fn.url}/${name}', ${CALLS[name] ?? '} }'}
    timeout: 1s
    concurrency: 24
    retry: { attempts: 12, min: 50ms, max: 2s }
    deadLetter: ${dead}`,
  )
  .join('\n')}
`;
}
