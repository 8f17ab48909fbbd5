import { bootstrapServers } from '../app/log.ts';
import { flinkSql } from '../streams/flink.ts';
import { UsageError } from './command-line.ts';
import type { LogCommandLine } from './config-file.ts';

/** `postern streams export`: prints a stream as Flink SQL. Throws a UsageError for a stream that Flink SQL cannot express. */
export function exportStream({ config, args: [name = ''], values, print }: LogCommandLine): boolean {
  if (values.to !== 'flink-sql') throw new UsageError('streams export needs --to flink-sql');
  const stream = config.streams.get(name);
  if (stream === undefined) {
    const known = [...config.streams.keys()].join(', ') || 'none';
    throw new UsageError(`there is no stream ${name}; the config has: ${known}`);
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
