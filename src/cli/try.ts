import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { nodePlatform } from '../adapters/runtime/node-platform.ts';
import type { Config } from '../config/config.ts';
import type { SourceConfig } from '../config/source/types.ts';
import { RequestError } from '../core/errors.ts';
import type { DecodedEvent } from '../core/event.ts';
import { printable } from '../core/printable.ts';
import { makeFilter } from '../filter/filter.ts';
import { decode, sourceFormat } from '../gateway/decode.ts';
import { type DecodeContext, type Decoding, makeSource } from '../gateway/formats/source.ts';
import { decodeWebhook } from '../gateway/formats/webhook.ts';
import { judge } from '../gateway/judge.ts';
import { readCalls } from '../gateway/protocols/segment.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { compileSchemas } from '../schema/compile.ts';
import { readSchemaFiles } from '../schema/load.ts';
import { ErrorBudget } from '../schema/registry.ts';
import { matchWorkflow } from '../workflows/match.ts';
import { type CommandLine, UsageError } from './command-line.ts';
import { configFile, loadConfig } from './config-file.ts';

/** `postern try`: prints what would become of a file or of standard input. */
export async function tryFile(line: CommandLine): Promise<boolean> {
  const { source, type: contentType = 'application/json' } = line.values;
  if (source === undefined) throw new UsageError('try needs --source NAME');
  const file = configFile(line);
  const config = loadConfig(file);
  const bytes = readPayload(line.args[0]);
  const { text, good } = await tryPayload({
    config,
    base: dirname(resolve(file)),
    source,
    contentType,
    bytes,
  });
  line.print(text);
  return good;
}

function readPayload(file: string | undefined): Uint8Array {
  try {
    return readFileSync(file ?? 0);
  } catch (error) {
    throw new UsageError(`cannot read the payload: ${(error as Error).message}`);
  }
}

export interface TryOptions {
  config: Config;
  /** Folder of the config. Its relative paths start there. */
  base: string;
  source: string;
  contentType: string;
  bytes: Uint8Array;
}

/** Describes for people what would become of a payload. `good`: every event would be accepted. Writes nothing. */
export async function tryPayload(options: TryOptions): Promise<{ text: string; good: boolean }> {
  const { config, contentType, bytes } = options;
  const sourceConfig = config.sources.get(options.source);
  if (sourceConfig === undefined) {
    return {
      text: `there is no source ${options.source}; the config has: ${[...config.sources.keys()].join(', ')}`,
      good: false,
    };
  }
  const source = makeSource(sourceConfig);
  const platform = nodePlatform();
  const { set } = compileSchemas(await readSchemaFiles(resolve(options.base, config.schemas)));
  const context = {
    source,
    limits: config.gateway.limits,
    digests: platform,
    receivedAt: new Date().toISOString(),
    header: () => undefined,
    grow: () => {},
    idempotencyKey: null,
    trace: {},
  };
  try {
    const events = [...eventsOf(sourceConfig.protocol, bytes, contentType, context)].filter(
      (event) => event !== null,
    );
    const budget = new ErrorBudget();
    for (const event of events) judge(event, source, set, budget);
    const lines = events.flatMap((event) => describe(event, config, sourceConfig.topic));
    return {
      // The payload may come from a stranger, so it must not control the terminal.
      text: [`${events.length} event${events.length === 1 ? '' : 's'}`, ...lines]
        .map((line) => printable(line))
        .join('\n'),
      good: events.every((event) => event.errors.length === 0),
    };
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const text = printable(`the whole request would be refused: ${error.code}: ${error.message}`);
    return { text, good: false };
  } finally {
    platform.stop();
  }
}

/** Reads events as the source's protocol does, without a signature. A Segment body is that of /v1/batch, or one call with its `type`. */
function eventsOf(
  protocol: SourceConfig['protocol'],
  body: Uint8Array,
  contentType: string,
  context: DecodeContext,
): Decoding {
  if (protocol === 'webhook') return [decodeWebhook({ body, contentType, signed: null }, context)];
  if (protocol === 'segment') return readCalls(body, context);
  const format = sourceFormat(contentType, () => undefined, context.source.config.verify);
  return decode(format, body, contentType, () => [], context);
}

function describe(event: DecodedEvent, config: Config, topic: string): string[] {
  const good = event.errors.length === 0;
  const lines = [
    `event ${event.index}${event.line === undefined ? '' : ` (line ${event.line})`}: ${good ? 'accepted' : 'rejected'}`,
    `  id      ${event.id || '-'}`,
    `  type    ${event.headers.ce_type || '-'}`,
    `  topic   ${good ? topic : `${topic}.rejected`}`,
    `  key     ${event.key ?? '-'}`,
  ];
  for (const error of event.errors)
    lines.push(`  error   ${error.pointer ?? ''} ${error.detail} (${error.code})`);
  if (good) lines.push(`  goes to ${matching(event, config, topic).join(', ') || 'no subscription'}`);
  return lines;
}

function matching(event: DecodedEvent, config: Config, topic: string): string[] {
  const headers = Object.fromEntries(
    Object.entries(event.headers).map(([name, value]) => [name, Buffer.from(value)]),
  );
  const key = event.key === null ? null : Buffer.from(event.key);
  const record: StoredRecord = {
    topic,
    key,
    value: event.data,
    headers,
    partition: 0,
    offset: 0,
    timestamp: Date.now(),
  };
  const subscriptions = [...config.subscriptions.values()]
    .filter((subscription) => subscription.topics.includes(topic))
    .filter((subscription) => makeFilter(subscription)?.match(record) ?? true)
    .map((subscription) => subscription.name);
  const streams = [...config.streams.values()]
    .filter((stream) => stream.topics.includes(topic))
    .filter(({ filter }) => makeFilter({ filter, filters: [] })?.match(record) ?? true)
    .map(({ name }) => `stream ${name}`);
  const workflows = [...config.workflows.values()].flatMap((workflow) => matchWorkflow(workflow, record));
  return [...subscriptions, ...streams, ...workflows];
}
