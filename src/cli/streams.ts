import { bootstrapServers } from '../app/stores.ts';
import type { Config } from '../config/config.ts';
import { flinkSql } from '../streams/flink.ts';
import { UsageError } from './command-line.ts';

export interface StreamsCommand {
  config: Config;
  action: string | undefined;
  stream: string | undefined;
  /** What it is exported to. */
  to: string | undefined;
  print(text: string): void;
}

/** `postern streams export NAME --to flink-sql`: prints the stream in another system's words. Rejects when it has none for it. */
export function streamsCommand({ config, action, stream: name, to, print }: StreamsCommand): boolean {
  if (action !== 'export') throw new UsageError('streams needs export');
  if (to !== 'flink-sql') throw new UsageError('streams export needs --to flink-sql');
  const stream = config.streams.get(name ?? '');
  if (stream === undefined) {
    const known = [...config.streams.keys()].join(', ') || 'none';
    throw new UsageError(`there is no stream ${name ?? ''}; the config has: ${known}`);
  }
  const brokers = bootstrapServers(config);
  if (brokers === '') throw new UsageError('streams export needs a log in Kafka: log.kafka');
  try {
    print(flinkSql(stream, { brokers }));
    return true;
  } catch (error) {
    throw new UsageError(`stream ${stream.name} cannot be exported: ${(error as Error).message}`);
  }
}
