import type { AdminConfig } from './admin/types.ts';
import type { DedupeConfig } from './dedupe/types.ts';
import type { GatewayConfig } from './gateway/types.ts';
import type { LogConfig } from './log/types.ts';
import type { SourceConfig } from './source/types.ts';
import type { StreamConfig } from './stream/types.ts';
import type { SubscriptionConfig } from './subscription/types.ts';
import type { WorkflowConfig } from './workflow/types.ts';

/**
 * The config as the code uses it: durations in milliseconds, sizes in bytes, defaults filled in, secrets read.
 * `readConfig` makes it from the YAML text.
 */
export interface Config {
  gateway: GatewayConfig;
  admin: AdminConfig;
  log: LogConfig;
  dedupe: DedupeConfig;
  /** Folder, absolute or relative to the config file. */
  schemas: string;
  sources: Map<string, SourceConfig>;
  subscriptions: Map<string, SubscriptionConfig>;
  streams: Map<string, StreamConfig>;
  workflows: Map<string, WorkflowConfig>;
  /** Milliseconds between SIGTERM and the end of the process. */
  grace: number;
  logLevel: string;
}
